"""Outputs that carry every second of a run somewhere else: files, databases, monitoring. One file for each."""
