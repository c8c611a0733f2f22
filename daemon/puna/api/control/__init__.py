"""Puna's own API: for its command line, its tray, and whoever watches it."""
