"""The command line: ``python -m quadrat …``, or ``quadrat …`` after ``pip install``."""

from .program import main

__all__ = ['main']
