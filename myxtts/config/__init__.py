"""Settings: what there is to set, the named sizes and levels, and where each value of a run came from."""
