"""Model files: the GGUF header reader, and the catalogue of what can be run."""
