"""``fastload plan``: prints what `fastload run` would do, without running it."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from fastload.cli.run import resolve_settings
from fastload.cli.run_options import RunCommand, run_options
from fastload.cli.standard_streams import claim_stdout
from fastload.outputs.base import writing
from fastload.outputs.files import write_stdout
from fastload.outputs.terminal.console import open_console
from fastload.outputs.terminal.plan import print_plan
from fastload.planning import describe_draft


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
    settings = resolve_settings()
    options = settings.options
    if options.get("json"):
        # Before the script is imported, because the script may print.
        claim_stdout("--json")
    described = describe_draft(settings.read(script), target=options.get("target", ""))
    if options.get("json"):
        with writing("the plan"):
            write_stdout(json.dumps(described, indent=2).encode() + b"\n")
    else:
        print_plan(open_console(sys.stdout), described)
    return 0
