"""Capacity search in the parent: it measures each step, and sets the load of the next one."""
