"""Figures of a trained model on real recordings: which clips, how near, who is heard, and a judge from outside."""
