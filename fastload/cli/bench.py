"""``fastload bench``: load at the highest request rate or at a fixed rate, without a script."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import click

from fastload.cli.options import (
    AnyFunction,
    SharedCommand,
    SharedOptions,
    header_lines,
    http_options,
    http_settings,
    run_plan,
    shared_options,
    shipped_target,
)
from fastload.cli.search_options import capacity_settings, refuse_search_options, search_options
from fastload.load.client.request_options import as_method
from fastload.load.executors.request_sources import MAX_BATCH, NIL_UUID, FixedRequest, RequestSource, SequencerIngest
from fastload.model.bounded_read import read_bounded, read_descriptor
from fastload.model.capacity.settings import CapacitySettings
from fastload.model.errors import PlanError
from fastload.model.http_settings import check_base_url, check_url, without_credentials
from fastload.model.judging.threshold_tags import PlannedTags
from fastload.model.load_options import LoadOptions, build_executor
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.units import parse_duration_s, parse_rate_per_s
from fastload.model.urls import encode_url, path_of
from fastload.model.wire_text import check_line, utf8
from fastload.planning import check_thresholds, choose_workers, thresholds_of
from fastload.planning.capacity import DEFAULT_MOST_VUS, capacity_plan

DEFAULT_CONNECTIONS = 64
DEFAULT_DURATION = "10s"
_LOADS = ("connections", "duration", "requests", "rate")
FIRST_LOOK = CapacitySettings(
    first=100,
    objectives=thresholds_of(
        (
            *(
                "http_req_response_time: med<20",
                "http_req_response_time: p(95)<50",
                "http_req_response_time: p(99)<100",
            ),
            "http_req_failed: rate<1%",
        )
    ),
    precision=0.4,
    settle_s=0.0,
    step_s=2.0,
    confirm_s=2.0,
    time_s=10.0,
    quick=True,
)
"""The search of a `bench` without arguments: an answer in ten seconds, with objectives for the ingest of batches."""
_REQUEST = (
    click.option("-X", "--method", metavar="METHOD", help="HTTP method.  [default: GET, or POST with a body]"),
    click.option("-b", "--body", metavar="TEXT|@FILE|-", help="Request body: as given, from a file, or from stdin."),
)


def request_options(command: AnyFunction) -> AnyFunction:
    """Add the options of the request to a URL to a command."""
    for add in reversed(_REQUEST):
        command = add(command)
    return command


@click.command(
    cls=SharedCommand, short_help="Measure a URL, or the ingest of events, at full speed or at a fixed rate."
)
@click.argument("url", required=False)
@click.option("-c", "--connections", type=int, help="Connections, over all workers.  [default: 64]")
@click.option("-d", "--duration", metavar="DURATION", help="How long, like 10s or 1m30s.  [default: 10s]")
@click.option("-n", "--requests", type=int, help="Stop after so many requests instead.")
@click.option("-r", "--rate", metavar="RATE", help="Send so many a second by the clock (open model), like 500 or 1k/s.")
@request_options
@click.option("--ingest", is_flag=True, help="Ingest batches of events into the sequencer at URL.")
@click.option("--batch-size", type=int, default=100, show_default=True, help="Events in a batch (with ingest).")
@click.option(
    "--tenant",
    metavar="UUID",
    envvar="TENANT_ID",
    default=NIL_UUID,
    help="Tenant id.  [env: TENANT_ID; default: zeros]",
)
@click.option(
    "--store", metavar="UUID", envvar="STORE_ID", default=NIL_UUID, help="Store id.  [env: STORE_ID; default: zeros]"
)
@click.option(
    "--agent", metavar="UUID", envvar="AGENT_ID", default=NIL_UUID, help="Agent id.  [env: AGENT_ID; default: zeros]"
)
@click.option("--api-key", envvar="API_KEY", default="", help="Key of the sequencer.  [env: API_KEY]")
@click.option("--find-capacity", is_flag=True, help="Find the highest rate that meets the objectives instead.")
@search_options
@http_options
@shared_options
def bench(url: str | None, **options: Any) -> int:
    """Measure URL like wrk does; or ingest fresh batches of events into a sequencer.

    Without URL, fastload starts the sequencer that ships with it, finds out in ten seconds about how many
    batches a second it takes, and stops it again; with -c, -d, -n or -r it sends that load instead. With URL
    and --ingest, the batches go to the sequencer at that base URL (or at SEQUENCER_BASE_URL). With URL alone,
    the same request is sent over and over.

    \b
    Examples:
      fastload bench
      fastload bench http://localhost:8080/health -c 100 -d 30s
      fastload bench http://localhost:8080/ --rate 5k/s --threshold 'http_req_response_time: p(99)<20'
      fastload bench http://localhost:8080 --ingest --batch-size 500
    """
    shared = SharedOptions.take(options)
    shared = replace(shared, thresholds=(*shared.thresholds, *options["slo"]))
    ingest = bool(url is None or options["ingest"])
    options["payload"] = None if ingest else read_body(options["body"])
    base_url = url or (os.environ.get("SEQUENCER_BASE_URL", "") if options["ingest"] else "")
    _check_ingest_options(options, ingest=ingest)
    search = _search_of(options, is_first_look=not base_url)
    # Check all options before a server is started. A placeholder stands for its address, which is not known yet.
    plan = build_plan(base_url or "http://127.0.0.1", options, shared, ingest=ingest, search=search)
    outputs, dashboard = shared.outputs(), shared.make_dashboard()
    if base_url:
        return run_plan(plan, outputs, dashboard=dashboard)
    with shipped_target("sequencer") as target:
        plan = build_plan(target.base_url, options, shared, ingest=True, cpus=target.worker_cpus, search=search)
        return run_plan(plan, outputs, target=target, dashboard=dashboard)


def _search_of(options: dict[str, Any], *, is_first_look: bool) -> CapacitySettings | None:
    """Return the settings of the search that the options ask for; None if they ask for none. *is_first_look*: nothing
    was said about what to measure.

    Raises:
        PlanError: options of a search without a search, or of a load with one.
    """
    loads = (("rate", "-r/--rate"), ("requests", "-n/--requests"), ("duration", "-d/--duration"))
    if not options["find_capacity"]:
        refuse_search_options(click.get_current_context(), "add --find-capacity")
        if not is_first_look or any(
            options[name] is not None for name in ("connections", *(name for name, _ in loads))
        ):
            return None
        options["connections"] = DEFAULT_MOST_VUS
        return FIRST_LOOK
    for name, option in loads:
        if options[name] is not None:
            raise PlanError(f"{option} and --find-capacity exclude each other", hint="the search sets the load")
    if options["connections"] is None:
        options["connections"] = DEFAULT_MOST_VUS
    return capacity_settings(options)


def build_plan(
    url: str,
    options: dict[str, Any],
    shared: SharedOptions,
    *,
    ingest: bool,
    cpus: tuple[int, ...] = (),
    search: CapacitySettings | None = None,
) -> Plan:
    """Return the plan of these options for *url*. The workers may use only *cpus*; empty means no restriction.
    *search*: the settings of a capacity search, None for the load of the options.

    Raises:
        PlanError: an option is malformed, or contradicts another.
    """
    url = check_base_url(url) if ingest else _check_request_url(url)
    source = _ingest_source(url, options) if ingest else _request_source(url, options)
    connections, requests = options["connections"], options["requests"]
    if connections is None:
        connections = min(DEFAULT_CONNECTIONS, requests or DEFAULT_CONNECTIONS)
    executor = build_executor(_load_of(options, connections))
    parts = urlsplit(url)
    thresholds = thresholds_of(shared.thresholds)
    check_thresholds(thresholds, PlannedTags({"bench": {}}, has_own_tags=False, mentions=lambda _text: False))
    plan = Plan(
        kind="bench",
        title=f"{'ingest' if ingest else 'bench'} {without_credentials(source.url)}",
        scenarios=(ScenarioPlan("bench", executor, source, graceful_stop_s=5.0),),
        workers=choose_workers(shared.workers, connections, what="connection", most_workers=len(cpus) or None),
        base_url=f"{parts.scheme}://{parts.netloc}",
        http=http_settings(options, max_redirects=0, cookies=False),
        thresholds=thresholds,
        warmup_s=parse_duration_s(options["warmup"], what="--warmup"),
        cpus=cpus if shared.workers is None or shared.workers <= len(cpus) else (),
        **shared.plan_settings(),
    )
    return capacity_plan(plan, search, asked=plan.thresholds, max_vus=connections) if search else plan


def read_body(text: str | None) -> bytes | None:
    """Return the body of ``-b``: the text itself, the content of the file after ``@``, or stdin for ``-``.

    Raises:
        PlanError: the file or stdin cannot be read, or is too large.
    """
    if text is None:
        return None
    if text == "-":
        return _read_stdin()
    if not text.startswith("@"):
        return utf8(text)
    try:
        return read_bounded(Path(text[1:]))
    except OSError as error:
        raise PlanError(
            f"body file {text[1:]!r} cannot be read: {error.strerror}",
            hint="give a file after the @, or the text itself",
        ) from error


def _read_stdin() -> bytes:
    try:
        return read_descriptor(sys.stdin.fileno(), silence_s=math.inf)
    except OSError as error:
        raise PlanError(f"-b -: stdin cannot be read: {error.strerror}", hint="give a file: -b @FILE") from error


def _load_of(options: dict[str, Any], connections: int) -> LoadOptions:
    """Return the load that the options ask for. A number of requests at a fixed rate becomes a duration."""
    requests, given = options["requests"], options["duration"]
    if requests is not None and requests < 1:
        raise PlanError(f"-n/--requests {requests} is below 1", hint="give at least 1")
    if connections < 1:
        raise PlanError(f"-c/--connections {connections} is below 1", hint="give at least 1")
    if options["rate"]:
        rate_per_s = parse_rate_per_s(options["rate"], what="-r/--rate")
        duration_s = parse_duration_s(given or DEFAULT_DURATION, what="-d/--duration")
        if requests is not None:
            by_requests_s = requests / rate_per_s
            duration_s = min(duration_s, by_requests_s) if given else by_requests_s
        return LoadOptions(rate_per_s=rate_per_s, duration_s=duration_s, max_vus=connections)
    if requests is not None:
        limit_s = parse_duration_s(given, what="-d/--duration") if given else None
        return LoadOptions(vus=connections, iterations=requests, duration_s=limit_s)
    duration_s = parse_duration_s(given or DEFAULT_DURATION, what="-d/--duration")
    return LoadOptions(vus=connections, duration_s=duration_s)


def _ingest_source(url: str, options: dict[str, Any]) -> RequestSource:
    if not 1 <= options["batch_size"] <= MAX_BATCH:
        raise PlanError(f"--batch-size {options['batch_size']} is not 1 to {MAX_BATCH}", hint="100 is usual")
    for name in ("tenant", "store", "agent"):
        try:
            UUID(options[name])
        except ValueError as error:
            raise PlanError(f"--{name} {options[name]!r} is not a UUID", hint=f"write it like {NIL_UUID}") from error
    key = options["api_key"]
    return SequencerIngest(
        encode_url(url),
        batch_size=options["batch_size"],
        tenant_id=options["tenant"],
        store_id=options["store"],
        agent_id=options["agent"],
        headers=(*((f"Authorization: ApiKey {check_line(key, '--api-key')}",) if key else ()), *header_lines(options)),
    )


def _request_source(url: str, options: dict[str, Any]) -> RequestSource:
    payload = options["payload"]
    method = as_method(options["method"] or ("GET" if payload is None else "POST"))
    return FixedRequest(method, encode_url(url), header_lines(options), payload, name=path_of(url))


def _check_request_url(url: str) -> str:
    url = check_url(url)
    parts = urlsplit(url)
    return url if parts.path else parts._replace(path="/").geturl()


def _check_ingest_options(options: dict[str, Any], *, ingest: bool) -> None:
    if ingest and (options["body"] is not None or options["method"]):
        name = "-b/--body" if options["body"] is not None else "-X/--method"
        raise PlanError(f"{name} does not go with ingest, which makes its own requests", hint="give a URL alone")
