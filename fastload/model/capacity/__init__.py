"""Capacity search: which load to try next, whether a step met the objectives, and what was found."""
