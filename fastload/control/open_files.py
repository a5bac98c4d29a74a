"""Open files: how many VUs the limit of the system allows, since each of them has a connection."""

from __future__ import annotations

import resource

from fastload.model.load_models import MOST_VUS

OWN_DESCRIPTORS = 64
"""Descriptors of a worker besides its connections: channel, pollers, timers, standard streams, and some slack."""


def most_open_files() -> int | None:
    """Return how many files a worker may have open, or None without a limit. A worker raises its limit to this."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def most_vus(workers: int) -> int:
    """Return how many VUs *workers* workers can have at the same time, at most `MOST_VUS`."""
    files = most_open_files()
    return MOST_VUS if files is None else min(MOST_VUS, max(0, files - OWN_DESCRIPTORS) * workers)
