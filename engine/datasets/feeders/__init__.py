"""Feeders: where the samples of a training come from, as a run says, or as a Python program does."""
