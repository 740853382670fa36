"""The repair tool: what is wrong with settings, data, checkpoints and runs, and how to mend it. Nothing here prints."""
