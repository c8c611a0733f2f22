"""What this machine has and what of it is used: read from the system, and explained in pure code.

Nothing here loads llama.cpp or asks a driver; what llama.cpp sees comes from `puna.engine.probe`.
"""
