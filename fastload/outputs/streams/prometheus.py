"""``--out prometheus=PORT``: an HTTP endpoint with the totals of the run so far, for Prometheus to scrape."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from fastload.model.errors import PlanError
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import TrendValue
from fastload.model.units import parse_whole
from fastload.outputs.streams.buckets import CLASSIC_BOUNDS, CLASSIC_BOUNDS_S, counts_up_to
from fastload.outputs.streams.data_points import DataPoint, DataPointSelector, RunTotals, common_tags
from fastload.outputs.streams.prometheus_names import (
    PREFIX,
    PrometheusNames,
    clean,
    help_text,
    is_time,
    labels,
    per_base_unit,
    values_of,
)

OPTION = "--out prometheus"
_bound_text: Any = floatToGoString
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
# If scrapes came at intervals of at most this time, the end of the run waits at most this time for one more scrape.
# Otherwise no scrape would have the last second.
SCRAPE_WAIT_S = 3.0
# The connection of a client that sends no request is closed after this time.
_CLIENT_TIMEOUT_S = 5.0


class PrometheusEndpoint:
    """A sink that serves all metrics over HTTP for Prometheus.

    *argument* is ``[HOST:]PORT``, by default on the loopback interface. ``listens`` is this address as (host, port);
    see `fastload.outputs.streams.registry.make_named_sink`.
    """

    required = False
    wants_points = False

    def __init__(self, argument: str) -> None:
        self.listens = self._host, self._port = _parse(argument)
        self._state = _State()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Check that the port is free. The port is closed again, so that no worker inherits it."""
        try:
            self._bind().server_close()
        except OSError as error:
            where = f"{self._host}:{self._port}"
            raise PlanError(
                f"{OPTION}: cannot listen on {where}: {error.strerror or error}", hint="choose another port"
            ) from error

    def open(self, header: RunHeader) -> None:
        server = self._bind()
        self._state.begin(header)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self._state)
        server.state = self._state
        server.set_app(make_wsgi_app(registry))
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="fastload-scrape", daemon=True)
        self._thread.start()

    def write(self, snapshot: Snapshot) -> None:
        self._state.add(snapshot)

    def close(self, summary: Mapping[str, Any] | None) -> None:  # noqa: ARG002 - the interface of every sink
        self._state.await_scrape()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def _bind(self) -> _Server:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        kind = type("_Server", (_Server,), {"address_family": family})
        server: _Server = kind((self._host, self._port), _Handler)
        return server


class _State(Collector):
    """Totals of the run so far, and which seconds were scraped. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._totals: RunTotals | None = None
        self._common: dict[str, str] = {}
        self._names = PrometheusNames(())
        self._info: dict[str, str] = {}
        self._seconds = 0
        # By thread: the number of seconds contained in the reply that this thread is still writing.
        self._answering: dict[int, int] = {}
        self._answered_seconds = 0
        self._answered_s: list[float] = []

    def begin(self, header: RunHeader) -> None:
        selector = DataPointSelector(header)
        self._totals, self._common = RunTotals(selector), common_tags(header)
        self._names = PrometheusNames(selector.specs())
        version = header.versions.get("fastload", "")
        self._info = {"run": header.run_id, "title": clean(header.title), "version": version}

    def add(self, snapshot: Snapshot) -> None:
        with self._changed:
            if self._totals is not None:
                self._totals.add(snapshot)
                self._seconds += 1

    def collect(self) -> Iterable[Metric]:
        """Return all metrics, for the Prometheus client library."""
        with self._changed:
            self._answering[threading.get_ident()] = self._seconds
            return self._families()

    def answered(self) -> None:
        """Record that the calling thread has finished its reply."""
        with self._changed:
            seconds = self._answering.pop(threading.get_ident(), None)
            if seconds is not None:
                self._answered_seconds = max(self._answered_seconds, seconds)
                # Keep the times of two replies only: just the last interval matters.
                self._answered_s = [*self._answered_s[-1:], time.monotonic()]
                self._changed.notify_all()

    def await_scrape(self) -> None:
        """Wait, at most `SCRAPE_WAIT_S`, for a complete reply with the last second.

        It waits only if a reply is being written, or if the last two replies were at most `SCRAPE_WAIT_S` apart.
        """
        with self._changed:
            seen = self._answered_s
            if self._answering or (len(seen) == 2 and seen[1] - seen[0] <= SCRAPE_WAIT_S):
                self._changed.wait_for(lambda: self._answered_seconds == self._seconds, SCRAPE_WAIT_S)

    def _families(self) -> list[Metric]:
        families: dict[str, Metric] = {}
        info = families[PREFIX + "run"] = Metric(PREFIX + "run", "The run; its value is always 1.", "gauge")
        info.add_sample(PREFIX + "run", self._info | labels((), self._common), 1)
        for point in self._totals.data_points() if self._totals is not None else ():
            named, base = labels(point.tags, self._common), self._names.of(point.spec)
            if isinstance(point.series_value, TrendValue):
                _add_trend(families, point, point.series_value, named, base)
                continue
            for name, kind, value in values_of(point, base):
                family = _family(families, name.removesuffix("_total"), kind, point)
                family.add_sample(name, named, value)
        return list(families.values())


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_TIMEOUT_S
    server: _Server

    def handle(self) -> None:
        try:
            super().handle()
        finally:
            self.server.state.answered()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parameter's name in the base class
        """Do nothing: the terminal belongs to the run."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    state: _State

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without the DNS lookup of this host's name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: a closed connection is no error of the run."""


def _family(families: dict[str, Metric], name: str, kind: str, point: DataPoint) -> Metric:
    return families.setdefault(name, Metric(name, help_text(point.spec), kind))


def _add_trend(
    families: dict[str, Metric], point: DataPoint, trend: TrendValue, named: dict[str, str], name: str
) -> None:
    """Add a classic histogram, and the quantiles of the run so far, which are exact to 0.1 %."""
    spec = point.spec
    per_unit = spec.scale * per_base_unit(spec)
    bounds = CLASSIC_BOUNDS_S if is_time(spec) else CLASSIC_BOUNDS
    histogram = _family(families, name, "histogram", point)
    for bound, count in zip(bounds, counts_up_to(trend, per_unit, bounds), strict=True):
        histogram.add_sample(f"{name}_bucket", {**named, "le": _bound_text(bound)}, count)
    histogram.add_sample(f"{name}_bucket", {**named, "le": "+Inf"}, trend.count)
    histogram.add_sample(f"{name}_count", named, trend.count)
    histogram.add_sample(f"{name}_sum", named, trend.sum / per_unit)
    quantiles = _family(families, f"{name}_quantile", "gauge", point)
    for quantile, value in zip(QUANTILES, trend.quantiles(QUANTILES), strict=False):
        quantiles.add_sample(f"{name}_quantile", {**named, "quantile": str(quantile)}, value / per_unit)


def _parse(argument: str) -> tuple[str, int]:
    host, _, port = argument.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = parse_whole(port, 65535)
    if not number:
        raise PlanError(f"{OPTION}: {argument!r} is not [HOST:]PORT", hint=f"write it like {OPTION}=9464")
    return host or "127.0.0.1", number
