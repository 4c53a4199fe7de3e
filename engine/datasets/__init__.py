"""What was sampled: datasets on disk, written by extraction and read by training."""
