"""Webhooks: signed messages about the ends of fine-tunes, kept on disk until they are delivered or given up.

Delivery is at least once: a message whose answer was lost, or that was under way when the daemon ended, is sent
again with the same `webhook-id`, by which receivers tell that they have it already.
"""
