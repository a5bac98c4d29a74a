"""The page with charts: the HTML report in one file. The dashboard and the comparison use its parts too."""
