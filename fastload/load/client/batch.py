"""Parallel requests of one VU: ``await vu.batch([...])``."""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlsplit

from fastload.load.client.reply import Reply
from fastload.model.errors import PlanError

BatchItem = str | tuple[Any, ...] | Mapping[str, Any] | Awaitable[Reply]
"""A URL to GET; ``(method, url)`` or ``(method, url, options)``; a mapping of ``method``, ``url`` and options; or a
request that is not awaited yet, like ``vu.get("/")``."""
MOST_AT_ONCE, MOST_PER_HOST = 20, 6
SendRequest = Callable[..., Awaitable[Reply]]


def items_of(requests: Iterable[BatchItem] | Mapping[str, BatchItem]) -> list[BatchItem]:
    """Return the requests of a batch as a list.

    Raises:
        PlanError: *requests* is no list or mapping of requests; a text would be a request for each of its characters.
    """
    if isinstance(requests, Mapping):
        return list(requests.values())
    if isinstance(requests, str | bytes | bytearray) or not isinstance(requests, Iterable):
        url = requests if isinstance(requests, str) else "/"
        what = f"batch: requests is a {type(requests).__name__}"
        raise PlanError(what, hint=f'write vu.batch(["{url}"])')
    return list(requests)


async def send_all(
    items: Iterable[BatchItem], send: SendRequest, absolute: Callable[[str], str], *, limit: int, per_host: int
) -> list[Reply]:
    """Send *items* and return their replies in the same order.

    At most *limit* requests run at the same time, and at most *per_host* to one host. The host of an awaitable item is
    not known: such an item counts in *limit* only. The first exception of a request cancels the other requests.

    Raises:
        PlanError: an item is not a request, or a limit is below 1.
        Exception: any exception that a request raises.
    """
    items = list(items)
    try:
        if limit < 1 or per_host < 1:
            raise PlanError(f"batch: a limit of {min(limit, per_host)} is below 1", hint="give at least 1")
        slots = asyncio.Semaphore(limit)
        of_host: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(per_host))
        made = [_as_sender(item, send, absolute) for item in items]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_send_limited(request, slots, of_host[host] if host else None))
                for request, host in made
            ]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for item in items:
            if inspect.iscoroutine(item):
                # Python warns of a coroutine that is neither awaited nor closed.
                item.close()
    return [task.result() for task in tasks]


async def _send_limited(
    request: Callable[[], Awaitable[Reply]], slots: asyncio.Semaphore, of_host: asyncio.Semaphore | None
) -> Reply:
    async with of_host or nullcontext(), slots:
        return await request()


def _as_sender(
    item: BatchItem, send: SendRequest, absolute: Callable[[str], str]
) -> tuple[Callable[[], Awaitable[Reply]], str]:
    """Return the function that sends *item*, and the host of its URL ("" if not known)."""
    if inspect.isawaitable(item):
        return lambda: item, ""
    method, url, options = _parts(item)
    return lambda: send(method, url, **options), urlsplit(absolute(url)).netloc


def _parts(item: Any) -> tuple[str, str, Mapping[str, Any]]:
    match item:
        case str():
            return "GET", item, {}
        case (str(method), str(url)):
            return method, url, {}
        case (str(method), str(url), Mapping() as own):
            return method, url, own
        case {"url": str(url)}:
            own = {name: value for name, value in item.items() if name not in ("method", "url")}
            return item.get("method", "GET"), url, own
    raise PlanError(
        f"batch: {item!r:.80} is no request",
        hint='write a URL, ("POST", "/items", {"json": item}), or {"method": "POST", "url": "/items", "json": item}',
    )
