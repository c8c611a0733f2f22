"""Ollama's API, and Spin-Up's, which is Ollama's `/api/generate` behind a key: one body serves the users of both."""
