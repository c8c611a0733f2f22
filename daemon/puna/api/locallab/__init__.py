"""The LocalLab API: its document, and what its real server and clients do beside it."""
