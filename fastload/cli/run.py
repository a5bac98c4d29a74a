"""``fastload run``: the scenarios of a script."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import click

from fastload.cli.options import Shared, run_plan, shipped_target
from fastload.cli.run_options import RunCommand, run_options, tiers_of
from fastload.cli.script import load_script
from fastload.control.server import parse_control
from fastload.planning import Around, Tiers, draft_plan, settle_run
from fastload.targets import find_target


@click.command(cls=RunCommand, short_help="Run the scenarios of a Python script.")
@click.argument("script", metavar="SCRIPT.py")
@run_options
def run(script: str, **_: Any) -> int:
    """Run the @fl.scenario functions of SCRIPT.py.

    A load given here replaces what the script says. What is given nowhere else may stand in fastload.toml, and every
    option may be an environment variable: --max-vus is FASTLOAD_MAX_VUS.

    \b
    Examples:
      fastload run script.py --base-url http://localhost:8080
      fastload run script.py --target sequencer -u 50 -d 30s
      fastload run script.py --stages 30s:10,1m:10,10s:0 -e API_KEY=secret
    """
    tiers = tiers_of(click.get_current_context())
    options = settle_run(tiers).values
    shared = _shared(options)
    control = parse_control(options["control"]) if "control" in options else None
    set_environment(tiers)
    name = options.get("target", "")
    if name:
        find_target(name)
    declared = load_script(script)
    around = Around(title=script, hooks=declared.hooks, stdout_is_data=shared.as_json)
    draft = draft_plan(declared.scenarios, tiers, around)
    outputs = shared.outputs()
    for note in draft.notes:
        sys.stderr.write(f"Note: {note}\n")
    with shipped_target(name) if name else nullcontext(None) as target:
        if target:
            around = replace(around, base_url=target.base_url, cpus=target.worker_cpus)
            draft = draft_plan(declared.scenarios, tiers, around)
        return run_plan(draft.plan, outputs, target=target, control=control, keyboard=not shared.quiet)


def set_environment(tiers: Tiers) -> None:
    """Have the names that the tiers set for the script in this process, before the script is read."""
    os.environ.update({name: text for tier in tiers.all for name, text in tier.options.get("env", {}).items()})


def _shared(options: Mapping[str, Any]) -> Shared:
    return Shared(
        workers=options.get("workers"),
        thresholds=(),
        watch=options.get("watch", ()),
        on_worker_loss=options.get("on_worker_loss", "continue"),
        strict=options.get("strict", False),
        summary_file=options.get("summary"),
        as_json=options.get("json", False),
        quiet=options.get("quiet", False),
    )
