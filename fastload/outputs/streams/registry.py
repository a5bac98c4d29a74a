"""The sinks by name: those that ship with fastload, and those of installed packages (entry points)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from fastload.model.errors import PlanError, nearest
from fastload.outputs.destinations import ListeningPort, WrittenFile, check_distinct_files, check_ports
from fastload.outputs.files import is_stdout
from fastload.outputs.streams.base import Sink
from fastload.outputs.streams.sink_output import SinkOutput

ENTRY_POINTS = "fastload.outputs"
_INTERFACE = ("required", "wants_points", "check", "open", "write", "close")

_CREDENTIALS = re.compile(r"^([a-z][a-z0-9+.-]*://)?.*@", re.IGNORECASE | re.DOTALL)

Factory = Callable[[str], Sink]


class ShippedSink(NamedTuple):
    """A sink that ships with fastload.

    *factory* is ``module:name`` below this package, *argument* the form of its argument, *help* its purpose. *extra* is
    the extra of fastload with the packages that the module needs. *endings*: the sink writes one file per ending, named
    argument + ending.
    """

    factory: str
    argument: str
    help: str
    extra: str = ""
    endings: tuple[str, ...] = ()


_ONE_FILE = ("",)
_LOCUST = ("_stats.csv", "_stats_history.csv", "_failures.csv", "_exceptions.csv")


SHIPPED: dict[str, ShippedSink] = {
    "run": ShippedSink("run_file:RunFile", "DIR|FILE", "everything, for fastload report and compare (as --save)"),
    "html": ShippedSink(
        "html_report:HtmlReport", "FILE", "a page with charts, in one file (as --html)", endings=_ONE_FILE
    ),
    "md": ShippedSink("markdown_report:MarkdownReport", "FILE", "a report in Markdown", endings=_ONE_FILE),
    "json": ShippedSink("k6_json:K6Json", "FILE[.gz]", "single samples in k6's JSON lines"),
    "csv": ShippedSink("k6_csv:K6Csv", "FILE[.gz]", "single samples in k6's CSV columns"),
    "locust": ShippedSink("locust_csv:LocustCsv", "PREFIX", "Locust's four CSV files", endings=_LOCUST),
    "junit": ShippedSink("junit:JUnit", "FILE", "thresholds and checks as JUnit XML", endings=_ONE_FILE),
    "hlog": ShippedSink("hlog:HistogramLog", "FILE", "a histogram log of HdrHistogram", endings=_ONE_FILE),
    "github": ShippedSink("github:GitHub", "", "a job summary and annotations of GitHub Actions"),
    "prometheus": ShippedSink(
        "prometheus:PrometheusEndpoint", "[HOST:]PORT", "metrics for Prometheus to scrape", "prometheus"
    ),
    "prometheus-rw": ShippedSink(
        "remote_write:RemoteWrite", "URL", "Prometheus remote write, with native histograms", "prometheus"
    ),
    "otlp": ShippedSink("otlp:Otlp", "URL", "OpenTelemetry metrics over OTLP and HTTP", "otlp"),
    "influxdb": ShippedSink("influxdb:InfluxDB", "URL", "InfluxDB line protocol", "influxdb"),
    "statsd": ShippedSink("statsd:StatsD", "HOST:PORT", "StatsD over UDP", "statsd"),
}
ALIASES = {
    "experimental-prometheus-rw": "prometheus-rw",
    "opentelemetry": "otlp",
    "experimental-opentelemetry": "otlp",
}
"""Names of k6 outputs, and the names of the same outputs in fastload."""
_HINTS_FOR_OTHER_NAMES = {
    "markdown": "write md=FILE",
    "xml": "write junit=FILE",
    "page": "write html=FILE",
    "report": "write html=FILE",
    "influx": "write influxdb=URL",
    "remote-write": "write prometheus-rw=URL",
    "hdr": "write hlog=FILE",
    "web-dashboard": "give --dashboard",
    "dashboard": "give --dashboard",
    "summary": "give --summary FILE.json",
}


class RequestedOutput(NamedTuple):
    """The request for an output: *option* is its command-line option, *text* is ``NAME`` or ``NAME=ARGUMENT``."""

    option: str
    text: str


class NamedSink(NamedTuple):
    """A sink with its ``NAME`` and ``ARGUMENT``, the files that it writes, and the address (if any) it listens on."""

    name: str
    argument: str
    sink: Sink
    written: tuple[WrittenFile, ...]
    listeners: tuple[ListeningPort, ...] = ()


def requested_outputs(options: Mapping[str, Any]) -> list[RequestedOutput]:
    """Return the outputs that the options ``out``, ``html`` and ``save`` request, for `make_sink_outputs`."""
    short = [
        RequestedOutput(f"--{key}", f"{name}={options[key]}")
        for key, name in (("html", "html"), ("save", "run"))
        if options.get(key)
    ]
    return [*(RequestedOutput("--out", text) for text in options.get("out", ())), *short]


def text_without_secrets(text: str) -> str:
    """Return a text for `make_sink_outputs` without secrets: a URL in it loses user, password and query."""
    name, found, argument = text.partition("=")
    if "://" in argument or _takes_url(name):
        # A password may contain any character: remove everything up to the last @.
        argument = _CREDENTIALS.sub(r"\1", argument).partition("?")[0]
    return name + found + argument


def _takes_url(name: str) -> bool:
    name = name_and_argument(name)[0]
    return name in SHIPPED and SHIPPED[name].argument == "URL"


def make_sink_outputs(texts: Iterable[str | RequestedOutput], *, option: str = "--out") -> list[SinkOutput]:
    """Create a sink output for each ``NAME`` or ``NAME=ARGUMENT``; saved runs come last.

    Raises:
        PlanError: there is no such output, its argument is wrong, or its package is not installed; or two outputs write
            the same file, listen on the same port, or are equal.
    """
    named = [make_named_sink(RequestedOutput(option, text) if isinstance(text, str) else text) for text in texts]
    check_distinct_files((file for one in named for file in one.written), {})
    check_ports(listener for one in named for listener in one.listeners)
    return sink_outputs_of(named)


def sink_outputs_of(named: Iterable[NamedSink]) -> list[SinkOutput]:
    """Create a sink output for each of *named*; saved runs come last.

    Raises:
        PlanError: two outputs are equal, so that a system would get everything twice.
    """
    named = list(named)
    for index, one in enumerate(named):
        if not one.written and any((one.name, one.argument) == (other.name, other.argument) for other in named[:index]):
            text = text_without_secrets(f"{one.name}={one.argument}" if one.argument else one.name)
            raise PlanError(f"--out {text} is given twice", hint="leave one of them out")
    streams = [
        SinkOutput(one.name, one.sink, on_stdout=any(is_stdout(file.path) for file in one.written), written=one.written)
        for one in named
    ]
    return sorted(streams, key=lambda stream: stream.name == "run")


def make_named_sink(asked: RequestedOutput) -> NamedSink:
    """Create the requested sink, and find out which files it writes and on which address it listens.

    A sink, also of another package, may state its files in the attribute ``paths`` and its address, (host, port), in
    ``listens``.

    Raises:
        PlanError: there is no such output, its argument is wrong, or its package is not installed; or the argument is
            stdout and the sink cannot write to it.
    """
    name, argument = name_and_argument(asked.text)
    said = f"--out {name}" if asked.option == "--out" else asked.option
    shipped = SHIPPED.get(name)
    if shipped and argument and is_stdout(argument) and shipped.argument in ("PREFIX", "DIR|FILE"):
        one_file = [other for other, one in SHIPPED.items() if one.argument in ("FILE", "FILE[.gz]")]
        raise PlanError(f"{said} cannot go to stdout", hint=f"of one file are {', '.join(one_file)}")
    sink = make_sink(name, argument)
    paths = getattr(sink, "paths", None)
    if paths is None:
        paths = [argument + ending for ending in shipped.endings] if shipped else ()
    may_be_folder = shipped is None or shipped.argument == "DIR|FILE"
    written = tuple(WrittenFile(said, os.fspath(path), may_be_folder) for path in paths)
    listens = getattr(sink, "listens", None)
    return NamedSink(name, argument, sink, written, (ListeningPort(said, *listens),) if listens else ())


def name_and_argument(text: str) -> tuple[str, str]:
    """Split the text of an ``--out`` option into ``NAME`` and ``ARGUMENT``; k6 names are replaced (`ALIASES`)."""
    given, _, argument = text.partition("=")
    return ALIASES.get(given.strip(), given.strip()), argument.strip()


def make_sink(name: str, argument: str, *, option: str = "--out") -> Sink:
    """Create the sink *name* with *argument*.

    Raises:
        PlanError: there is no such output, its argument is wrong, or its package is not installed.
    """
    if name in SHIPPED:
        return _shipped(name, option)(argument)
    added = _added()
    if name in added:
        return _load_added(added[name], option, argument)
    names = [*SHIPPED, *added]
    hint = _HINTS_FOR_OTHER_NAMES.get(name.lower()) or nearest(name, names) or f"there are {', '.join(names)}"
    raise PlanError(f"{option}: there is no output {name!r}", hint=hint)


def _shipped(name: str, option: str) -> Factory:
    shipped = SHIPPED[name]
    module, _, attribute = shipped.factory.partition(":")
    try:
        factory: Factory = getattr(import_module(f"{__package__}.{module}"), attribute)
    except ModuleNotFoundError as error:
        if not shipped.extra:
            raise
        hint = f"pip install 'fastload[{shipped.extra}]'"
        raise PlanError(f"{option} {name} needs the package {error.name}, which is not installed", hint=hint) from error
    return factory


def _load_added(point: EntryPoint, option: str, argument: str) -> Sink:
    """Create the sink of another package, which may raise anything."""
    try:
        sink: Sink = point.load()(argument)
    except PlanError:
        raise
    except Exception as error:
        what = f"{option} {point.name}: {point.value} failed: {type(error).__name__}: {error}"
        raise PlanError(what, hint="mend it, or leave this output out") from error
    missing = [name for name in _INTERFACE if not hasattr(sink, name)]
    if missing:
        what = f"{option} {point.name}: {point.value} makes no sink: it has no {', '.join(missing)}"
        raise PlanError(what, hint="see 'Write your own' in docs/outputs.md")
    return sink


@cache
def _added() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
