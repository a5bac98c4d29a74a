"""Scripts from descriptions of APIs (OpenAPI)."""
