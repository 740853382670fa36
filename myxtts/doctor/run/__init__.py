"""Runs: what their directories record, what would repair them, and the repair."""
