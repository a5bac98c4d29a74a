"""The HTTP interface of a VU: request methods, batches, and defaults for all of its requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack, overload

from fastload.load.client.batch import MOST_AT_ONCE, MOST_PER_HOST, BatchItem, items_of, send_all
from fastload.load.client.cookies import Cookies, host_of
from fastload.load.client.judged_request import JudgedRequest
from fastload.load.client.reply import Reply
from fastload.load.client.request_options import (
    RequestDefaults,
    RequestOptions,
    VUDefaults,
    as_auth,
    as_base_url,
    as_method,
    as_request_settings,
)
from fastload.load.engine.header_lines import HeaderOptions, header_texts
from fastload.model.errors import PlanError
from fastload.model.http_settings import Auth, RequestSettings
from fastload.model.public_types import described_options

if TYPE_CHECKING:
    from fastload.load.client.context import WorkerContext
    from fastload.load.engine.curl_transfer import Transfer


class HttpClient(ABC):
    """The part of a `VU` that sends requests."""

    _context: WorkerContext
    _defaults: RequestDefaults
    _vu_defaults: VUDefaults | None
    """Defaults of this VU and its scenario; None as long as they change nothing in a request without options."""
    _cookies: Cookies | None
    _plain: list[Transfer]

    @described_options(RequestOptions)
    def get(self, url: str, **options: Unpack[RequestOptions]) -> Coroutine[Any, Any, Reply]:
        """Send a GET request to *url*, absolute or relative to the base URL. Raises as `request`."""
        return self._request("GET", url, **options)

    @described_options(RequestOptions)
    def post(self, url: str, **options: Unpack[RequestOptions]) -> Coroutine[Any, Any, Reply]:
        """Send a POST request; as `get`."""
        return self._request("POST", url, **options)

    @described_options(RequestOptions)
    def put(self, url: str, **options: Unpack[RequestOptions]) -> Coroutine[Any, Any, Reply]:
        """Send a PUT request; as `get`."""
        return self._request("PUT", url, **options)

    @described_options(RequestOptions)
    def patch(self, url: str, **options: Unpack[RequestOptions]) -> Coroutine[Any, Any, Reply]:
        """Send a PATCH request; as `get`."""
        return self._request("PATCH", url, **options)

    @described_options(RequestOptions)
    def delete(self, url: str, **options: Unpack[RequestOptions]) -> Coroutine[Any, Any, Reply]:
        """Send a DELETE request; as `get`."""
        return self._request("DELETE", url, **options)

    @described_options(RequestOptions)
    def head(self, url: str, **options: Unpack[RequestOptions]) -> Coroutine[Any, Any, Reply]:
        """Send a HEAD request; as `get`."""
        return self._request("HEAD", url, **options)

    @described_options(RequestOptions)
    def options(self, url: str, **options: Unpack[RequestOptions]) -> Coroutine[Any, Any, Reply]:
        """Send an OPTIONS request; as `get`."""
        return self._request("OPTIONS", url, **options)

    @described_options(RequestOptions)
    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Coroutine[Any, Any, Reply]:
        """Send one request and return its reply, also if the request failed.

        The request starts when the returned coroutine is awaited.

        Raises:
            PlanError: *method* is no HTTP method; on await: *url* is relative without a base URL, a file cannot be
                read, a tag has the name of a built-in tag, or another option is not valid.
        """
        return self._request(as_method(method), url, **options)

    @described_options(RequestOptions)
    def expect(self, method: str, url: str, **options: Unpack[RequestOptions]) -> JudgedRequest:
        """Send one request and judge it in a block: ``async with vu.expect("GET", "/") as reply:``.

        The request is recorded when the block ends. `JudgedReply.success` counts it as successful.
        `JudgedReply.failure` counts it as failed, and so does an exception in the block. Without any of these it counts
        like every other request.
        """
        method = as_method(method)
        return JudgedRequest(lambda judged: self._request(method, url, judged=judged, **options))

    @overload
    async def batch(
        self, requests: Mapping[str, BatchItem], *, limit: int = ..., per_host: int = ...
    ) -> dict[str, Reply]: ...
    @overload
    async def batch(self, requests: Sequence[BatchItem], *, limit: int = ..., per_host: int = ...) -> list[Reply]: ...
    async def batch(
        self,
        requests: Sequence[BatchItem] | Mapping[str, BatchItem],
        *,
        limit: int = MOST_AT_ONCE,
        per_host: int = MOST_PER_HOST,
    ) -> list[Reply] | dict[str, Reply]:
        """Send *requests* in parallel, and return their replies in the same order, or under the same keys.

        Each request is a URL to GET, ``(method, url)``, ``(method, url, {option: value})``, a mapping with ``url``,
        ``method`` and options, or a request that is not awaited yet, like ``vu.get("/")``. At most *limit* requests run
        at the same time, and at most *per_host* to one host. Requests of the last form do not count in *per_host*.

        Raises:
            PlanError: *requests* is a text, an item is not a request, a limit is below 1, or as `request`; the other
                requests are cancelled.
        """
        absolute = partial(self._context.absolute, params=None, base_url=self.base_url)
        replies = await send_all(items_of(requests), self.request, absolute, limit=limit, per_host=per_host)
        return dict(zip(requests, replies, strict=True)) if isinstance(requests, Mapping) else replies

    @property
    def headers(self) -> dict[str, str | None]:
        """Headers of all requests of this VU. They override those of scenario and run; None removes a header."""
        return self._changeable_defaults().headers

    @headers.setter
    def headers(self, headers: HeaderOptions) -> None:
        self._changeable_defaults().headers = header_texts(headers)

    @property
    def http(self) -> RequestSettings | None:
        """Settings of all requests of this VU. They override those of the scenario; None means no settings."""
        return self._vu_defaults.http if self._vu_defaults else None

    @http.setter
    def http(self, settings: RequestSettings | None) -> None:
        self._changeable_defaults().http = as_request_settings(settings)

    @property
    def auth(self) -> Auth | None:
        """Credentials of all requests of this VU: an `Auth`, or ``("user", "password")`` for basic."""
        return self.http.auth if self.http else None

    @auth.setter
    def auth(self, auth: Auth | tuple[str, str] | None) -> None:
        self.http = replace(self.http or RequestSettings(), auth=as_auth(auth))

    @property
    def base_url(self) -> str:
        """Base URL of relative URLs: that of the run, unless the script sets another one for this VU."""
        return (self._vu_defaults.base_url if self._vu_defaults else "") or self._context.base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        self._changeable_defaults().base_url = as_base_url(url)

    @property
    def cookies(self) -> Cookies:
        """Cookies of this VU by name, to read, set and delete as in a dict.

        Raises:
            PlanError: the run keeps no cookies.
        """
        if self._cookies is None:
            if not self._context.http.cookies:
                raise PlanError("this run keeps no cookies", hint="leave cookies=False out of the settings")
            self._cookies = Cookies(self._idle, lambda: host_of(self.base_url))
        return self._cookies

    def _changeable_defaults(self) -> VUDefaults:
        if self._vu_defaults is None:
            self._vu_defaults = VUDefaults(self._defaults)
        return self._vu_defaults

    @contextmanager
    def _idle(self) -> Iterator[Transfer]:
        """Take an idle handle of this VU for the length of a block."""
        transfer = self._plain.pop() if self._plain else self._take_transfer()
        try:
            yield transfer
        finally:
            self._plain.append(transfer)

    @abstractmethod
    def _take_transfer(self) -> Transfer: ...

    @abstractmethod
    async def _request(self, method: str, url: str, **options: Any) -> Reply: ...
