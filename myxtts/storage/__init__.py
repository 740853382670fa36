"""What a run leaves on disk: checkpoints, the run directory, its journals; and the fail points that test them."""

STARTER = "starter"
"""The name of the model that comes with MyXTTS; its card.md says what it was trained on."""
