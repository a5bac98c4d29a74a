"""The ``fastload`` command: finds the module of a subcommand, and turns usage errors into exit code 104."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from fastload.cli.exit_codes import ExitCode, report_error
from fastload.cli.exit_limit import limit_exit
from fastload.cli.interrupts import INTERRUPTED, raise_on_stop_signals
from fastload.cli.shipped_scripts import SCRIPT_PREFIX
from fastload.cli.standard_streams import fill_standard_streams, write_stderr
from fastload.control.signals import ignore_stop_signals
from fastload.model.errors import FastloadError, PlanError, nearest
from fastload.version import __version__

COMMAND_NAMES = ("bench", "run", "capacity", "plan", "report", "compare", "ctl", "new", "target", "ui")
"""The subcommands. Subcommand ``run`` is the function ``run`` in the module ``run`` of this package, and so on."""


class CommandGroup(click.Group):
    """A click group that imports a subcommand on first use, and suggests the nearest name for an unknown one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the interface of click
        return sorted(COMMAND_NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMAND_NAMES:
            return None
        command: click.Command = getattr(import_module(f"{__package__}.{cmd_name}"), cmd_name)
        raise_on_stop_signals()
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            if name.startswith(("http://", "https://")):
                hint = f"did you mean 'fastload bench {name}'?"
            elif name.endswith(".py") or name.startswith(SCRIPT_PREFIX):
                hint = f"did you mean 'fastload run {name}'?"
            else:
                hint = nearest(name, COMMAND_NAMES) or f"one of: {', '.join(COMMAND_NAMES)}"
            raise PlanError(f"there is no command {name!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # click would print an empty line.
            return _report_interrupt()


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", message="fastload %(version)s")
def cli() -> None:
    """Load testing with latencies you can trust, and a verdict on who was the bottleneck.

    First steps: `fastload bench` (no server needed), `fastload bench http://localhost:8080/`,
    `fastload run script.py`.
    """


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command and exit the process with its exit code (the console script)."""
    fill_standard_streams()
    code = run_cli(args)
    # Only the interpreter's shutdown is left. Ctrl-C during the shutdown would print a traceback.
    ignore_stop_signals()
    # After a Ctrl-C within an exec (dataclasses use exec), CPython keeps a flag (unhandled_keyboard_interrupt) until
    # the next exec, even if the interrupt was caught. `python -m` would then end as if killed by Ctrl-C. This exec
    # clears the flag.
    exec("")
    limit_exit(code)
    sys.exit(code)


def run_cli(args: list[str] | None = None) -> int:
    """Run the command line *args* (default: the arguments of the process) and return the exit code."""
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
        return _report_interrupt()
    except FileNotFoundError:
        if _has_working_directory():
            raise
        return report_error(
            PlanError("the working directory was deleted, and names of files begin there", hint="cd to another one")
        )
    return int(code or 0)


def _has_working_directory() -> bool:
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


def _report_interrupt() -> ExitCode:
    write_stderr(INTERRUPTED)
    return ExitCode.INTERRUPTED
