"""The ``fastload`` command. Subcommands live in files of their own; usage errors become exit code 104 here."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from fastload.cli.bench import bench
from fastload.cli.compare import compare
from fastload.cli.ctl import ctl
from fastload.cli.exits import ExitCode, report_error
from fastload.cli.new import new
from fastload.cli.plan import plan
from fastload.cli.report import report
from fastload.cli.run import run
from fastload.cli.shipped import PREFIX
from fastload.cli.target import target
from fastload.cli.ui import ui
from fastload.model.errors import FastloadError, PlanError, nearest
from fastload.version import __version__


class Commands(click.Group):
    """A group that suggests the nearest command."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            if name.startswith(("http://", "https://")):
                hint = f"did you mean 'fastload bench {name}'?"
            elif name.endswith(".py") or name.startswith(PREFIX):
                hint = f"did you mean 'fastload run {name}'?"
            else:
                hint = nearest(name, self.commands) or f"one of: {', '.join(self.commands)}"
            raise PlanError(f"there is no command {name!r}", hint=hint)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", message="fastload %(version)s")
def cli() -> None:
    """Load testing with latencies you can trust, and a verdict on who was the bottleneck.

    First steps: `fastload bench` (no server needed), `fastload bench http://localhost:8080/`,
    `fastload run script.py`.
    """


cli.add_command(bench)
cli.add_command(run)
cli.add_command(plan)
cli.add_command(report)
cli.add_command(compare)
cli.add_command(ctl)
cli.add_command(new)
cli.add_command(target)
cli.add_command(ui)


def main(args: list[str] | None = None) -> NoReturn:
    """The console script: run the command and leave with its exit code."""
    sys.exit(run_cli(args))


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
