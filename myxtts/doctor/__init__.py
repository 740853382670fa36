"""The repair tool: finds causes of NaN in settings, data, checkpoints, runs and logs, and fixes settings and runs."""
