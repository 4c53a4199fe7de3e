"""Where to sample."""
