"""Writing rasters that last."""
