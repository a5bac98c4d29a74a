"""Handle pool: paused VUs release their idle handles, and other VUs of the scenario use them.

A handle that has sent a body keeps a buffer of 16 KB for the next one. With the pool, 10,000 VUs that mostly wait need
as many handles as there are requests in flight, not 10,000. Connections, cookies and TLS sessions are not part of a
handle: they stay with the VU, in its connection cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fastload.load.engine.curl_handle import keeps_state
from fastload.load.engine.curl_transfer import Transfer
from fastload.model.http_settings import HttpSettings

LONG_PAUSE_S = 0.5
"""The shortest pause before which a VU releases its idle handles to the pool.

A release costs a few microseconds of CPU: too much for a VU with a hundred requests a second, negligible for a VU with
one request a second.
"""


@dataclass(frozen=True, slots=True)
class HandlePool:
    """The idle handles of a scenario that no VU holds.

    *plain* has handles of requests without options, *configured* has handles with settings of a request.
    """

    plain: list[Transfer] = field(default_factory=list)
    configured: list[Transfer] = field(default_factory=list)


def is_poolable(settings: HttpSettings) -> bool:
    """Return whether handles with *settings* have no state of their VU, so that another VU can use them."""
    return (
        not keeps_state(settings.auth)
        and settings.proxy_auth == "basic"
        and not settings.source_addresses
        and settings.dns_select == "first"
        and not settings.debug
        and settings.connection_reuse == "vu"
        and not settings.max_connection_requests
    )
