"""Downloads as jobs that the daemon owns: they outlive requests, pauses and the daemon itself."""
