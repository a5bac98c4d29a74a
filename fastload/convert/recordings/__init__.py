"""Scripts from recordings of browsers and proxies (HAR)."""
