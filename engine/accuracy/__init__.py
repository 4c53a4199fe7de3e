"""Confusion matrices and the metrics that follow from them."""
