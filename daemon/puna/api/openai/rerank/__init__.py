"""Documents ranked by a query."""
