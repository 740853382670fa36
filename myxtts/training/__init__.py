"""Training: losses, schedule, the guarded step, the loop, validation and recovery."""
