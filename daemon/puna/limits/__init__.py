"""How often a client may ask: rates as text, and the meters that keep them. The clock is handed in."""
