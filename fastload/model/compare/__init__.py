"""Whether runs differ, and by how much: the statistics behind `fastload compare`."""
