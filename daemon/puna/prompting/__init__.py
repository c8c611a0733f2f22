"""Text in, text out: chat templates, stop strings and detokenising. Pure; the worker's hot path."""
