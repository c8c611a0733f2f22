"""Tool calls: one format for each family of models, and the grammars that demand calls."""
