"""The description of all APIs: `/openapi.json`, made from their schemas, and `/docs`, a page that shows it."""
