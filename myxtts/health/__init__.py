"""Is a run healthy? The signs that the training shows on the screen and the report shows on its page.

The signs: the loss falls and lies within 0.5 to 5 (or lower, if the validation loss is as low), the gradient norm is
under 1, no update was skipped, the validation metric does not rise for long, and training does not wait for data.
"""
