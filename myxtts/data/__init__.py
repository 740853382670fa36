"""From recordings on the disk to batches: metadata, audit, feature cache, corpus statistics, batch plan, loader."""
