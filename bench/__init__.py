"""Measurements; each is a command: `python -m bench.NAME --help`. Not part of the installed package."""
