"""The page with charts: the report in one file, and what the dashboard and the comparison show it with."""
