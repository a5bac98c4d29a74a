"""Sinks, one per module: they write every second of a run to files, databases and monitoring systems."""
