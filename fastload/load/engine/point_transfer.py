"""Handles whose measurements carry the additional data of points: end time, request info and VU."""

from __future__ import annotations

from typing import cast

from fastload.load.engine.curl_transfer import Measurement, Transfer, WildcardTransfer
from fastload.load.engine.request_info import RequestInfo, RequestInfoTable
from fastload.model.http_settings import Body

_HTTPS = "https://"


class PointTransfer(Transfer):
    """Handle whose measurements have three additional items: the end of the request (monotonic, ns), the number of its
    `RequestInfo` in ``request_infos``, and the number of the VU."""

    __slots__ = ()

    def prepare(self, method: str, url: str, headers: tuple[str, ...], body: Body | None) -> None:
        if url[:8] == _HTTPS:
            self.watch_tls_version(url)
        super().prepare(method, url, headers, body)

    def measure(self) -> Measurement:
        url = self._url
        request_infos = RequestInfo(url, self.protocol(), self.tls_version() if url[:8] == _HTTPS else "")
        return cast(
            Measurement, (*super().measure(), self.done_ns, self.request_infos.number(request_infos), self._number)
        )


class _WildcardPointTransfer(PointTransfer, WildcardTransfer):
    __slots__ = ()


_POINT_CLASSES: dict[type[Transfer], type[Transfer]] = {
    Transfer: PointTransfer,
    WildcardTransfer: _WildcardPointTransfer,
}


def make_point_transfer(transfer: Transfer, request_infos: RequestInfoTable) -> None:
    """Turn a `Transfer` or `WildcardTransfer` into its point variant, which adds to *request_infos*.

    Other handles, such as those of WebSockets, do not change.
    """
    telling = _POINT_CLASSES.get(type(transfer))
    if telling is not None:
        transfer.request_infos = request_infos
        transfer.__class__ = telling
