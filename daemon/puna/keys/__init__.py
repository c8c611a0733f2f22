"""Who asks: keys, the organisations they belong to, and what each may do."""
