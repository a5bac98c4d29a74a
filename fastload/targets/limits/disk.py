"""Where a write can be forced to a disk at all."""

from __future__ import annotations

import os
from pathlib import Path

from fastload.model.errors import TargetError

_IN_MEMORY = ("tmpfs", "ramfs")


def check_disk(folder: Path) -> None:
    """Check that *folder* is not in memory, where a sync does nothing.

    Raises:
        TargetError: it is.
    """
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, filesystem = line.partition(" - ")
        kind = filesystem.split(maxsplit=1)[0]
        if mount.split()[2] == number and kind in _IN_MEMORY:
            raise TargetError(
                f"limit fsync: {folder.parent} is in memory ({kind}), where a sync costs nothing",
                hint="set TMPDIR to a folder on a disk",
            )
