"""The command line. `commands` knows all of them by name; each is imported when it is chosen."""
