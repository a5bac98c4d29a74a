"""The sinks by name: those that ship with fastload, and those that installed packages add as entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from fastload.model.errors import PlanError, nearest
from fastload.outputs.streams.base import Sink
from fastload.outputs.streams.stream import Stream

ENTRY_POINTS = "fastload.outputs"

Factory = Callable[[str], Sink]


class Shipped(NamedTuple):
    """A sink that ships: its factory as ``module:name`` below this package, what its argument is, and what it does."""

    factory: str
    argument: str
    help: str


SHIPPED: dict[str, Shipped] = {
    "run": Shipped("run_file:RunFile", "DIR|FILE", "everything, for fastload report and compare (as --save)"),
    "html": Shipped("html:HtmlReport", "FILE", "a page with charts, in one file (as --html)"),
    "md": Shipped("markdown:MarkdownReport", "FILE", "a report in Markdown"),
    "json": Shipped("k6_json:K6Json", "FILE[.gz]", "single samples in k6's JSON lines"),
    "csv": Shipped("k6_csv:K6Csv", "FILE[.gz]", "single samples in k6's CSV columns"),
    "locust": Shipped("locust_csv:LocustCsv", "PREFIX", "Locust's four CSV files"),
    "junit": Shipped("junit:JUnit", "FILE", "thresholds and checks as JUnit XML"),
    "hlog": Shipped("hlog:HistogramLog", "FILE", "a histogram log of HdrHistogram"),
    "github": Shipped("github:GitHub", "", "a job summary and annotations of GitHub Actions"),
    "prometheus": Shipped("prometheus:Scrape", "[HOST:]PORT", "metrics for Prometheus to scrape"),
    "prometheus-rw": Shipped("remote_write:RemoteWrite", "URL", "Prometheus remote write, with native histograms"),
    "otlp": Shipped("otlp:Otlp", "URL", "OpenTelemetry metrics over OTLP and HTTP"),
    "influxdb": Shipped("influxdb:InfluxDB", "URL", "InfluxDB line protocol"),
    "statsd": Shipped("statsd:StatsD", "HOST:PORT", "StatsD over UDP"),
}
ALIASES = {
    "experimental-prometheus-rw": "prometheus-rw",
    "opentelemetry": "otlp",
    "experimental-opentelemetry": "otlp",
}
"""k6's names, where ours are others."""
_ELSEWHERE = {
    "web-dashboard": "give --dashboard",
    "dashboard": "give --dashboard",
    "summary": "give --summary FILE.json",
}


def out_texts(options: Mapping[str, Any]) -> list[str]:
    """What the options ``out``, ``html`` and ``save`` ask for, as texts for `make_streams`."""
    short = [f"{name}={options[key]}" for key, name in (("html", "html"), ("save", "run")) if options.get(key)]
    return [*options.get("out", ()), *short]


def make_streams(texts: Iterable[str], *, option: str = "--out") -> list[Stream]:
    """A stream for each of ``NAME`` or ``NAME=ARGUMENT``; saved runs come last.

    Raises:
        PlanError: there is no such output, its argument is wrong, or its package is not installed.
    """
    return sorted((_make(text, option) for text in texts), key=lambda stream: stream.name == "run")


def _make(text: str, option: str) -> Stream:
    given, _, argument = text.partition("=")
    name = ALIASES.get(given.strip(), given.strip())
    return Stream(name, _factory(name, option)(argument.strip()))


def _factory(name: str, option: str) -> Factory:
    if name in SHIPPED:
        module, _, attribute = SHIPPED[name].factory.partition(":")
        factory: Factory = getattr(import_module(f"{__package__}.{module}"), attribute)
        return factory
    added = _added()
    if name in added:
        loaded: Factory = added[name].load()
        return loaded
    names = [*SHIPPED, *added]
    hint = _ELSEWHERE.get(name) or nearest(name, names) or f"there are {', '.join(names)}"
    raise PlanError(f"{option}: there is no output {name!r}", hint=hint)


@cache
def _added() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
