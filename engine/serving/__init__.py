"""Applying models to whole rasters, tile by tile."""
