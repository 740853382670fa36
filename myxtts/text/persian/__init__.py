"""Persian as it is spoken: ezafe, homographs, words that eSpeak NG misreads, and stress. The model is in CARD.md."""
