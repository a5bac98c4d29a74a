"""``fastload run``: runs the scenarios of a script."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import click

from fastload.cli.dashboard import DEFAULT_LINGER, dashboard_address
from fastload.cli.options import SharedOptions, run_plan, shipped_target
from fastload.cli.run_options import RunCommand, run_options, tiers_of
from fastload.cli.script import load_script
from fastload.cli.standard_streams import write_stderr
from fastload.control.commands.control_server import parse_control
from fastload.model.errors import PlanError
from fastload.planning import Draft, PlanContext, Tiers, draft_plan, merge_run_options, on_target
from fastload.targets import find_target
from fastload.targets.limits import parse_limits


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
      fastload run scenario:ingest --target sequencer
      fastload run script.py --stages 30s:10,1m:10,10s:0 -e API_KEY=secret
    """
    settings = resolve_settings()
    options = settings.options
    shared = _shared(options)
    # Before the script is imported, because the script may print.
    outputs, dashboard = shared.outputs(settings.control), shared.make_dashboard()
    draft = settings.read(script)
    draft.check_can_run()
    for note in draft.notes:
        write_stderr(f"Note: {note}")
    name = options.get("target", "")
    limits = options.get("target_limits", ())
    with shipped_target(name, limits) if name else nullcontext(None) as target:
        plan = on_target(draft, target.base_url, target.worker_cpus) if target else draft.plan
        return run_plan(
            plan,
            outputs,
            target=target,
            control=settings.control,
            keyboard=not shared.quiet,
            dashboard=dashboard,
        )


class Settings(NamedTuple):
    """The settings known before the script is read: the tiers, the options of the whole run, and the address of the
    control API."""

    tiers: Tiers
    options: Mapping[str, Any]
    control: tuple[str, int] | None

    def read(self, script: str) -> Draft:
        """Import *script* and return the draft of its plan.

        Raises:
            PlanError: any error that can be found before the first request.
        """
        declared = load_script(script)
        return draft_plan(declared.scenarios, self.tiers, PlanContext(title=script, hooks=declared.hooks))


def resolve_settings() -> Settings:
    """Return the settings of the current command: from files, environment and command line.

    Also set the variables of the option ``env`` in the environment of this process.

    Raises:
        PlanError: an option is wrong.
        TargetError: there is no such target.
    """
    tiers = tiers_of(click.get_current_context())
    options = merge_run_options(tiers).values
    control = parse_control(options["control"]) if "control" in options else None
    dashboard_address(options.get("dashboard"), opens=False)
    # Set before the script is imported, so that it can read them.
    os.environ.update({name: text for tier in tiers.all for name, text in tier.options.get("env", {}).items()})
    parse_limits(options.get("target_limits", ()), what="--target-limit")
    if "target" in options:
        find_target(options["target"])
    elif "target_limits" in options:
        raise PlanError("--target-limit needs --target", hint="only a server that ships with fastload can be limited")
    return Settings(tiers, options, control)


def _shared(options: Mapping[str, Any]) -> SharedOptions:
    return SharedOptions(
        workers=options.get("workers"),
        thresholds=(),
        watch=options.get("watch", ()),
        on_worker_loss=options.get("on_worker_loss", "continue"),
        on_no_answer=options.get("on_no_answer", "stop"),
        strict=options.get("strict", False),
        summary_file=options.get("summary"),
        save=options.get("save"),
        html=options.get("html"),
        out=options.get("out", ()),
        strict_outputs=options.get("strict_outputs", False),
        dashboard=options.get("dashboard"),
        open=options.get("open", False),
        dashboard_linger=options.get("dashboard_linger", DEFAULT_LINGER),
        as_json=options.get("json", False),
        quiet=options.get("quiet", False),
    )
