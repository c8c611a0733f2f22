"""Datasets: parsed and checked as streams in bounded memory, split for training, stored once by content.

Everything but `store`, `upload` and `shelf` is pure: chunks of bytes in, values out.
"""
