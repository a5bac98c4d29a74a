"""``fastload capacity``: finds the highest load that meets the objectives."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from fastload.cli.bench import bench, build_plan, read_body, request_options
from fastload.cli.options import run_plan, shipped_target
from fastload.cli.run import resolve_settings, shared_of
from fastload.cli.run_options import RunCommand, test_options
from fastload.cli.search_options import capacity_settings, search_options
from fastload.cli.standard_streams import write_stderr
from fastload.model.errors import PlanError
from fastload.planning import on_target
from fastload.planning.capacity import capacity_plan, checked_most_vus, shared_vus
from fastload.planning.settings import COMMAND_LINE


@click.command(cls=RunCommand, short_help="Find the highest load that meets the objectives.")
@click.argument("subject", metavar="SCRIPT.py|URL")
@search_options
@click.option(
    "--max-vus",
    "max_vus_of_search",
    type=int,
    help="Most VUs, or connections to a URL, when going by the rate.  [default: 1000]",
)
@request_options
@test_options
def capacity(subject: str, **options: Any) -> int:
    """Find out how much the target takes: the highest load whose responses still meet the objectives.

    The load doubles until an objective breaks, and then the search narrows down between the last good and the first
    bad load. What it found is confirmed in a longer step. The load that a script asks for says only how the load is
    shared among its scenarios.

    \b
    Examples:
      fastload capacity http://localhost:8080/
      fastload capacity script.py --slo 'http_req_response_time: p(95)<50' --at-least 1000/s
      fastload capacity scenario:ingest --target sequencer
      fastload capacity script.py --by vus
    """
    settings = resolve_settings()
    shared = shared_of(settings.options)
    search = capacity_settings(options)
    max_vus = checked_most_vus(options["max_vus_of_search"], "--max-vus")
    outputs, dashboard = shared.outputs(settings.control), shared.make_dashboard()
    if subject.startswith(("http://", "https://")):
        _refuse_script_options()
        given = {**options, "payload": read_body(options["body"]), "connections": max_vus, "requests": None}
        given |= {"duration": None, "rate": None}
        shared = replace(shared, thresholds=(*options["thresholds"], *options["slo"]))
        plan = build_plan(subject, given, shared, ingest=False, search=search)
        return run_plan(plan, outputs, control=settings.control, dashboard=dashboard)
    _refuse_request_options(options)
    draft = settings.read(subject, shared_vus(search, max_vus))
    draft.check_can_run()
    for note in draft.notes:
        write_stderr(f"Note: {note}")
    name = settings.options.get("target", "")
    asked = [one.threshold for one in draft.thresholds if one.by == COMMAND_LINE]
    plan = capacity_plan(draft.plan, search, asked=asked, max_vus=max_vus)
    draft = replace(draft, plan=plan)
    limits = settings.options.get("target_limits", ())
    with shipped_target(name, limits) if name else nullcontext(None) as target:
        plan = on_target(draft, target.base_url if target else plan.base_url, target.worker_cpus if target else ())
        return run_plan(plan, outputs, target=target, control=settings.control, dashboard=dashboard)


def _refuse_script_options() -> None:
    """Refuse what only a script has: as for `bench`, the request to a URL is the options themselves."""
    ctx = click.get_current_context()
    taken = {param.name for param in bench.params} | {"subject", "max_vus_of_search", "control"}
    for param in ctx.command.params:
        given = param.name is not None and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
        if given and param.name not in taken:
            hint = "leave it out, or write the request as a script"
            raise PlanError(f"{'/'.join(param.opts)} is for a script, and a URL is given", hint=hint)


def _refuse_request_options(options: dict[str, Any]) -> None:
    for name, option in (("method", "-X/--method"), ("body", "-b/--body")):
        if options[name] is not None:
            raise PlanError(f"{option} is for a URL, and a script is given", hint="say it in the script")
