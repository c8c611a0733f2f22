"""The daemon's side of a worker: the messages, the process, and the worker as an object."""
