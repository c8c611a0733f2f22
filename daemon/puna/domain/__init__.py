"""Frozen value types without I/O, shared by daemon, worker and trainer."""
