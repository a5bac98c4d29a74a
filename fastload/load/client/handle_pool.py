"""Handles of VUs that pause, for those that do not.

A handle that has sent a body keeps 16 KB of libcurl's for the next one. 10,000 VUs that mostly wait need as many
handles as there are requests in flight, not 10,000. What makes a user, which is connections, cookies and TLS sessions,
is no part of a handle, and stays with the VU.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fastload.load.engine.curl_handle import keeps_state
from fastload.load.engine.curl_transfer import Transfer
from fastload.model.http_settings import HttpSettings

LONG_PAUSE_S = 0.5
"""Before a pause from this length on, a VU leaves its idle handles to the pool. It costs a few microseconds of CPU,
which is much for a VU that sends a hundred requests a second, and nothing for one that sends one."""


@dataclass(frozen=True, slots=True)
class HandlePool:
    """The handles that no VU of a scenario holds now: those of plain requests, and those with settings of requests."""

    plain: list[Transfer] = field(default_factory=list)
    configured: list[Transfer] = field(default_factory=list)


def is_poolable(settings: HttpSettings) -> bool:
    """Whether a handle with *settings* has nothing of the VU that uses it."""
    return (
        not keeps_state(settings.auth)
        and settings.proxy_auth == "basic"
        and not settings.source_addresses
        and not settings.debug
        and settings.connection_reuse == "vu"
        and not settings.max_connection_requests
    )
