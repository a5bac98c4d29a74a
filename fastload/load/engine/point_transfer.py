"""Handles that tell more of each request than its times, for single samples."""

from __future__ import annotations

from typing import cast

from fastload.load.engine.curl_transfer import Measurement, Transfer, WildcardTransfer
from fastload.load.engine.request_info import RequestInfo, RequestInfoTable
from fastload.model.http_settings import Body

_HTTPS = "https://"


class PointTransfer(Transfer):
    """A handle whose measurements have three items more: when the request ended (monotonic, ns), the number of its
    `RequestInfo` in ``facts``, and the VU's."""

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
    """Make *transfer* one that tells more, if it makes requests; what it tells goes to *facts*."""
    telling = _POINT_CLASSES.get(type(transfer))
    if telling is not None:
        transfer.request_infos = request_infos
        transfer.__class__ = telling
