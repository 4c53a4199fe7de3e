"""Tensor/IO bundles: models that describe themselves, and can train on the spot."""
