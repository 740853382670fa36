"""What a run leaves on disk: checkpoints, the run directory and its journals."""

STARTER = "starter"
"""The name of the model that comes with MyXTTS; its card.md says what it was trained on."""
