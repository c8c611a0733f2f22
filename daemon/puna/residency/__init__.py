"""Which models are in memory: one coordinator owns the answer, `ports` are its ways to the world."""
