"""Anthropic's API for messages."""
