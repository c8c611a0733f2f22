"""Spin-Up's API, which is Ollama's `/api/generate` behind a key: one body serves the users of both."""
