"""The ``fastload`` command. Subcommands live in files of their own; usage errors become exit code 104 here."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from fastload.cli.exit_codes import ExitCode, report_error
from fastload.cli.shipped_scripts import PREFIX
from fastload.cli.standard_streams import fill_standard_streams
from fastload.control.signals import ignore_stop_signals
from fastload.model.errors import FastloadError, PlanError, nearest
from fastload.version import __version__

COMMAND_NAMES = ("bench", "run", "plan", "report", "compare", "ctl", "new", "target", "ui")
"""The subcommands: each is the function of its name in the module of its name."""


class CommandGroup(click.Group):
    """A group that imports a command when it is used, and suggests the nearest one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the interface of click
        return sorted(COMMAND_NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMAND_NAMES:
            return None
        command: click.Command = getattr(import_module(f"{__package__}.{cmd_name}"), cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            if name.startswith(("http://", "https://")):
                hint = f"did you mean 'fastload bench {name}'?"
            elif name.endswith(".py") or name.startswith(PREFIX):
                hint = f"did you mean 'fastload run {name}'?"
            else:
                hint = nearest(name, COMMAND_NAMES) or f"one of: {', '.join(COMMAND_NAMES)}"
            raise PlanError(f"there is no command {name!r}", hint=hint)
        return super().resolve_command(ctx, args)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", message="fastload %(version)s")
def cli() -> None:
    """Load testing with latencies you can trust, and a verdict on who was the bottleneck.

    First steps: `fastload bench` (no server needed), `fastload bench http://localhost:8080/`,
    `fastload run script.py`.
    """


def main(args: list[str] | None = None) -> NoReturn:
    """The console script: run the command and leave with its exit code."""
    fill_standard_streams()
    code = run_cli(args)
    # Everything is done but the interpreter's own end, in which Ctrl-C would be a traceback.
    ignore_stop_signals()
    # `python -m` ends as if killed by a Ctrl-C that came within an exec, as dataclasses use it, and was caught since:
    # CPython remembers it until the next one (unhandled_keyboard_interrupt).
    exec("")
    sys.exit(code)


def run_cli(args: list[str] | None = None) -> int:
    """Run the command line *args* (by default the process's) and return the exit code."""
    try:
        code = cli.main(args, prog_name="fastload", standalone_mode=False)
    except FastloadError as error:
        return report_error(error)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stdout.write(f"{error.format_message()}\n")
        return ExitCode.OK
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "fastload"
        return report_error(PlanError(error.format_message(), hint=f"see '{command} --help'"))
    except click.ClickException as error:
        return report_error(PlanError(error.format_message()))
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return int(code or 0)
