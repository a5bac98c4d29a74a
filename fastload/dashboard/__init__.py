"""The dashboard: the page of the report, updated each second while the run lasts, and its server in the parent."""
