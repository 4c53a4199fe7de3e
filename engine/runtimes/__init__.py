"""A loaded model of any kind as one thing."""
