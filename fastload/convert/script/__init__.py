"""What every generated script is written with: Python source, names, requests, functions."""
