"""Evaluation of a trained model on recordings: selected clips, objective figures, and an independent judge."""
