"""What must outlive the daemon and is asked for by name: one SQLite file, one thread that writes it."""
