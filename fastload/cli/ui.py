"""``fastload ui``: starts, shows and changes runs of a script in the browser."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fastload.cli.dashboard import open_page
from fastload.cli.run_options import RunCommand, run_options, tiers_of
from fastload.cli.standard_streams import write_stderr
from fastload.control.commands.http_checks import parse_address
from fastload.control.signals import StopSignals, caught_stop_signals
from fastload.model.errors import PlanError
from fastload.planning.options import OPTIONS, check_value, is_given

if TYPE_CHECKING:
    from fastload.dashboard.ui_session import UiSession

DEFAULT_UI_PORT = 8089
_OWN = ("port", "opens", "save_folder")
# Options of `run` that `ui` refuses: the ui sets them itself for each run, or its page offers them in another way.
_NOT_TAKEN = {
    *(
        "--control",
        "--dashboard",
        "--dashboard-linger",
        "--html",
        "--json",
        "--open",
        "--paused",
        "--quiet",
        "--save",
        "--summary",
        "--tui",
    ),
}
# How long to wait for the end of a run before the next check for another Ctrl-C.
_PATIENCE_S = 0.2


class _UiCommand(RunCommand):
    """A command that takes most options of `run`, but lists only its own options in the help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [param for param in self.get_params(ctx) if param.name in _OWN or "--help" in param.opts]
        with formatter.section("Options"):
            formatter.write_dl([record for param in own if (record := param.get_help_record(ctx))])


@click.command(cls=_UiCommand, short_help="Run a script from the browser.")
@click.argument("script", metavar="SCRIPT.py")
@click.option(
    "-P",
    "--port",
    "--web-port",
    "port",
    metavar="PORT|HOST:PORT",
    default=str(DEFAULT_UI_PORT),
    show_default=True,
    help="Where to serve; port 0 takes a free one. Other machines need a token.",
)
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
@click.option("--save", "save_folder", metavar="DIR", help="Keep the saved runs there.  [default: gone when it ends]")
@run_options
@click.pass_context
def ui(ctx: click.Context, /, script: str, port: str, opens: bool, save_folder: str | None, **_: Any) -> int:
    """Start, watch, change and stop runs of SCRIPT.py in the browser, and download their reports.

    The options of `fastload run` may be given as well, for all runs: the page begins with the load, host and scenarios
    that are given here or that the script states.

    \b
    Examples:
      fastload ui script.py
      fastload ui script.py --base-url http://localhost:8080 -u 10 -d 30s --open
      fastload ui script.py --target sequencer --port 0 --save runs
    """
    # Imported here, because a server takes long to import, and other commands need none.
    from fastload.dashboard.access_guard import Guard
    from fastload.dashboard.dashboard_output import TOKEN_VARIABLE
    from fastload.dashboard.server import Server
    from fastload.dashboard.ui_app import UiApp
    from fastload.dashboard.ui_command import UiCommands
    from fastload.dashboard.ui_session import UiSession

    host, number = parse_address(port, what="--port", port=DEFAULT_UI_PORT)
    token = os.environ.get(TOKEN_VARIABLE) or os.environ.get("FASTLOAD_CONTROL_TOKEN", "")
    folder = _folder_of(save_folder)
    session = UiSession(UiCommands(script, *_given(ctx)), folder)
    guard = Guard(UiApp(session).app, host=host, token=token)
    server = Server(guard, host, number, token=token, what="ui", variable=TOKEN_VARIABLE)
    server.check()
    with caught_stop_signals() as stop_signals:
        session.open()
        try:
            server.start()
            _announce(server.address, guard.login_url(server.address) if opens else "")
            _wait(stop_signals)
        finally:
            _end(session, stop_signals)
            server.close()
    return 0


def _folder_of(save: str | None) -> Path | None:
    if save is None:
        return None
    folder = Path(save).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlanError(f"--save {save}: {error.strerror}", hint="give a directory that can be written") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PlanError(f"--save {save} cannot be written", hint="give another directory, or leave it out")
    return folder


def _announce(address: str, login_url: str) -> None:
    """Print *address*, and open *login_url* in the browser unless it is empty."""
    write_stderr(f"ui: {address}\nCtrl-C stops it.")
    if login_url:
        open_page(login_url)


def _wait(stop_signals: StopSignals) -> None:
    """Wait until a stop is requested."""
    while not stop_signals.take():
        # With a timeout: Python calls the handler of a signal that came just before this call only after it.
        select.select([stop_signals.fd], [], [], _PATIENCE_S)


def _end(session: UiSession, stop_signals: StopSignals) -> None:
    """Stop the current run gracefully and remove what is not saved. Another Ctrl-C interrupts the run."""
    is_told = False
    while not session.close(timeout_s=_PATIENCE_S):
        if not is_told:
            write_stderr("Stopping the run. Ctrl-C again interrupts what it still does.")
            is_told = True
        if stop_signals.take():
            session.end_now()


def _given(ctx: click.Context) -> tuple[list[str], dict[str, str]]:
    """Return the options given for all runs, as arguments and as environment variables.

    Options that the form of a run may override go into the run's environment, because its arguments override the
    environment. All others are arguments.
    """
    _check_load(ctx)
    arguments: list[str] = []
    environment: dict[str, str] = {}
    for param in _options_given(ctx):
        value = ctx.params[param.name or ""]
        values = value if isinstance(value, tuple) else (value,)
        if param.name in _IN_THE_ENVIRONMENT and isinstance(param.envvar, str):
            environment[param.envvar] = ",".join(map(str, values))
        elif param.is_flag:
            arguments.append(_long(param))
        else:
            arguments += [f"{_long(param)}={one}" for one in values]
    for name, other in (("FASTLOAD_TARGET", "FASTLOAD_BASE_URL"), ("FASTLOAD_BASE_URL", "FASTLOAD_TARGET")):
        if name in environment and other not in environment:
            environment[other] = ""
    return arguments, environment


_IN_THE_ENVIRONMENT = {
    *(name for name, option in OPTIONS.items() if option.scope == "load"),
    *("scenario", "base_url", "target", "target_limits"),
}


def _check_load(ctx: click.Context) -> None:
    """Check the given options of the load.

    A run would name the environment variables that it finds them in, which nobody has set.
    """
    for name, value in tiers_of(ctx).above[-1].options.items():
        option = OPTIONS.get(name)
        if option is not None and option.scope == "load" and is_given(value):
            check_value(option, value, where=f"--{name.replace('_', '-')}")


def _options_given(ctx: click.Context) -> Iterable[click.Option]:
    for param in ctx.command.params:
        source = ctx.get_parameter_source(param.name or "")
        if isinstance(param, click.Option) and param.name not in _OWN and source is ParameterSource.COMMANDLINE:
            yield param


def _long(param: click.Option) -> str:
    return next(name for name in param.opts if name.startswith("--"))


def _is_taken(param: click.Parameter) -> bool:
    return param.name in _OWN or not _NOT_TAKEN & set(param.opts)


ui.params = [param for param in ui.params if _is_taken(param)]
