"""``fastload plan``: what `fastload run` would do, without doing it."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from fastload.cli.run import set_environment
from fastload.cli.run_options import RunCommand, run_options, tiers_of
from fastload.cli.script import load_script
from fastload.control.server import parse_control
from fastload.outputs.plan import print_plan
from fastload.outputs.terminal import open_console
from fastload.planning import Around, describe_draft, draft_plan, settle_run
from fastload.targets import find_target


@click.command(cls=RunCommand, short_help="Print what run would do, and who set each value.")
@click.argument("script", metavar="SCRIPT.py")
@run_options
def plan(script: str, **_: Any) -> int:
    """Print what `fastload run SCRIPT.py` would do with the same options, and who set each value.

    The script is imported and everything is checked, but nothing is started, looked up or sent.

    \b
    Examples:
      fastload plan script.py
      fastload plan script.py --opts options.json -u 50
      fastload plan script.py --json
    """
    tiers = tiers_of(click.get_current_context())
    options = settle_run(tiers).values
    if "control" in options:
        parse_control(options["control"])
    set_environment(tiers)
    if "target" in options:
        find_target(options["target"])
    declared = load_script(script)
    draft = draft_plan(declared.scenarios, tiers, Around(title=script, hooks=declared.hooks))
    described = describe_draft(draft, target=options.get("target", ""))
    if options.get("json"):
        sys.stdout.write(json.dumps(described, indent=2) + "\n")
    else:
        print_plan(open_console(sys.stdout), described)
    return 0
