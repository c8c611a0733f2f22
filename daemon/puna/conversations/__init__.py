"""Conversations that clients continue by naming an answer: kept on disk, bounded in age and number."""
