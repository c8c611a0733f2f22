"""Puna: a desktop-local inference daemon."""

__version__ = "0.1.0"
