"""Scripts that benches run in another Python."""
