"""The HTML reports: one look for all."""
