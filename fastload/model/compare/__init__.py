"""Statistics of `fastload compare`: whether runs differ, and by how much."""
