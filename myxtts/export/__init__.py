"""Export of a trained model to formats that other programs read. Each export is verified before it appears."""
