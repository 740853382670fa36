"""What a run leaves on disk: checkpoints, the run directory, its journals; and the fail points that test them."""
