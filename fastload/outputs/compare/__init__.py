"""A comparison of runs as text, Markdown, JSON and a page."""
