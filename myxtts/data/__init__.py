"""From recordings on the disk to batches.

Metadata to utterances: `prepare` calls `roots`, `manifest`, `table` and `audio_files`. Utterances to clips: `features`
looks in `cache`, and has `pool` run the `jobs` that are missing, whose results are in `feature_store`. Clips to
batches: `split`, `audit` and `corpus` once, then `plan`, `references`, `batches` and `loader` for every epoch.
"""
