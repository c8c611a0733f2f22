"""A chat in the terminal: a client of the daemon's HTTP API. Nothing here is imported by the daemon."""
