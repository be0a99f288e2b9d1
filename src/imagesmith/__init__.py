"""Imagesmith builds the same VM image on many clouds and proves what is in it."""

__version__ = "0.1.0"
