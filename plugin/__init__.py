"""What needs a running QGIS and is no algorithm."""
