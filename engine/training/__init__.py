"""Training networks on datasets."""
