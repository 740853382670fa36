"""The recovery ladder: reactions to bad micro-batches, skipped updates and persistent trouble."""
