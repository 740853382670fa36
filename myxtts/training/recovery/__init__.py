"""What a run does about bad data, skipped updates and trouble that persists: the recovery ladder."""
