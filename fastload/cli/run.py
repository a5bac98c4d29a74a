"""``fastload run``: the scenarios of a script."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import Any

import click
from click.core import ParameterSource

from fastload.cli.options import (
    Shared,
    ShippedTarget,
    header_lines,
    http_options,
    http_settings,
    parse_pairs,
    run_plan,
    shared_options,
    shipped_target,
)
from fastload.cli.script import load_script
from fastload.model.errors import PlanError
from fastload.model.plan import Plan
from fastload.model.units import parse_duration_s
from fastload.runner import build_plan, pick_scenarios, thresholds_of
from fastload.targets import find_target


@click.command(short_help="Run the scenarios of a Python script.")
@click.argument("script", metavar="SCRIPT.py")
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Only this one. Repeatable.")
@click.option("-u", "--vus", type=int, help="Virtual users (VUs).")
@click.option("-d", "--duration", metavar="DURATION", help="How long, like 30s or 5m.")
@click.option("-i", "--iterations", type=int, help="Iterations in all, shared by the VUs.")
@click.option("-s", "--stage", "stages", multiple=True, metavar="30s:10", help="Reach 10 VUs in 30 s. Repeatable.")
@click.option("-r", "--rate", metavar="RATE", help="Start so many iterations a second by the clock, like 50 or 1k/s.")
@click.option("--max-vus", type=int, help="Most VUs with --rate; starts that find none free wait.  [default: 100]")
@click.option("-e", "--env", "env", multiple=True, metavar="K=V", help="For vu.env and os.environ. Repeatable.")
@click.option(
    "--base-url", "--host", "base_url", metavar="URL", envvar="FASTLOAD_BASE_URL", help="What relative URLs start with."
)
@click.option("--target", "target_name", metavar="NAME", help="Start this shipped target and run against it.")
@http_options
@shared_options
def run(script: str, **options: Any) -> int:
    """Run the @fl.scenario functions of SCRIPT.py, all at the same time.

    A load given here (--vus, --duration, --iterations, --stage, --rate) replaces what the script says.

    \b
    Examples:
      fastload run script.py --base-url http://localhost:8080
      fastload run script.py --target sequencer -u 50 -d 30s
      fastload run script.py -s 30s:10 -s 1m:10 -s 10s:0 -e API_KEY=secret
    """
    shared = Shared.take(options)
    options["env"] = parse_pairs(options["env"], separator="=", what="-e/--env", example="API_KEY=secret")
    if options["target_name"]:
        source = click.get_current_context().get_parameter_source("base_url")
        if source is ParameterSource.COMMANDLINE:
            raise PlanError("--target and --base-url exclude each other", hint="the target's address is used")
        find_target(options["target_name"])
    os.environ.update(options["env"])
    found = pick_scenarios(load_script(script), options["scenarios"])
    make_plan(found, script, options, shared)
    outputs = shared.outputs()
    name = options["target_name"]
    with shipped_target(name) if name else nullcontext(None) as target:
        plan = make_plan(found, script, options, shared, target)
        return run_plan(plan, outputs, target=target)


def make_plan(
    found: Any, script: str, options: dict[str, Any], shared: Shared, target: ShippedTarget | None = None
) -> Plan:
    """The plan of these options.

    Raises:
        PlanError: an option is malformed, or contradicts another.
    """
    cpus = target.worker_cpus if target else ()
    workers = shared.workers
    return build_plan(
        found,
        {name: options[name] for name in ("vus", "duration", "iterations", "stages", "rate", "max_vus")},
        title=script,
        base_url=target.base_url if target else options["base_url"] or "",
        workers=workers,
        most_workers=len(cpus) or None,
        thresholds=thresholds_of(shared.thresholds),
        env=options["env"],
        http=http_settings(options, headers=header_lines(options)),
        warmup_s=parse_duration_s(options["warmup"], what="--warmup"),
        cpus=cpus if workers is None or workers <= len(cpus) else (),
        **shared.plan_settings(),
    )
