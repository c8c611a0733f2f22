"""Fine-tuning, the daemon's side."""
