"""A run in the browser while it lasts: the page of the report, fed each second, and a server for it in the parent."""
