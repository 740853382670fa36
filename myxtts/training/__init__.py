"""Training: losses, schedule, the guarded step, and the loop around it."""
