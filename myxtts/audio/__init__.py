"""Recordings: reading them, their mels, their pitch, and back from a mel to a waveform."""
