"""Options that several subcommands share, and the outputs, the target and the run that they ask for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from fastload.cli.dashboard import DEFAULT_LINGER, DashboardAddress, dashboard_address, fill_address, make_dashboard
from fastload.cli.exit_codes import ExitCode, exit_code
from fastload.cli.standard_streams import claim_stdout, write_stderr
from fastload.control.commands.command_queue import CommandQueue
from fastload.control.commands.control_server import ControlServer
from fastload.control.sampling.host import usable_cpus
from fastload.control.signals import ignore_stop_signals
from fastload.load.engine.header_lines import check_header
from fastload.model.errors import PlanError
from fastload.model.http_settings import HttpSettings
from fastload.model.judging.threshold_grammar import split_thresholds
from fastload.model.plan import OnNoAnswer, OnWorkerLoss, Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.model.units import parse_duration_s
from fastload.outputs.base import Output
from fastload.outputs.destinations import ListeningPort, WrittenFile, check_distinct_files, check_ports
from fastload.outputs.files import STDOUT, data_stdout, is_stdout
from fastload.outputs.streams.registry import make_named_sink, requested_outputs, sink_outputs_of
from fastload.outputs.streams.sink_output import SinkOutput
from fastload.outputs.summary_json import SummaryFile, SummaryStream
from fastload.outputs.terminal.console import open_console, progress_output
from fastload.outputs.terminal.report import SummaryReport
from fastload.planning import make_http
from fastload.runner import execute
from fastload.targets import find_target, running

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


class ListText(click.types.StringParamType):
    """The type of a repeatable text option. Its environment variable may have several texts, which *split* separates;
    without it they are separated by commas."""

    def __init__(self, split: Callable[[str], Iterable[str]] = lambda text: text.split(",")) -> None:
        self._split = split

    def split_envvar_value(self, rv: str) -> list[str]:
        return [part.strip() for part in self._split(rv) if part.strip()]


_SHARED = (
    click.option(
        "-w",
        "--workers",
        type=int,
        envvar="FASTLOAD_WORKERS",
        help="Worker processes.  [default: one per usable CPU]",
    ),
    click.option(
        "--threshold",
        "thresholds",
        multiple=True,
        type=ListText(split_thresholds),
        metavar="'METRIC: EXPR'",
        envvar="FASTLOAD_THRESHOLDS",
        help="Fail (exit 99) unless it holds, like 'http_req_duration: p(95)<50'. Repeatable.",
    ),
    click.option(
        "--watch",
        multiple=True,
        type=ListText(),
        metavar="PID|NAME|PORT",
        envvar="FASTLOAD_WATCH",
        help="Processes of the target to sample. A local target is found by its port without this. Repeatable.",
    ),
    click.option(
        "--on-worker-loss",
        type=click.Choice(["continue", "stop"]),
        default="continue",
        show_default=True,
        envvar="FASTLOAD_ON_WORKER_LOSS",
        help="What to do when a worker process dies; the exit code is 97 in any case.",
    ),
    click.option(
        "--on-no-answer",
        type=click.Choice(["stop", "continue"]),
        default="stop",
        show_default=True,
        envvar="FASTLOAD_ON_NO_ANSWER",
        help="What to do when no request gets an answer for 10 s, or in a shorter run; then the exit code is 108.",
    ),
    click.option("--strict", is_flag=True, envvar="FASTLOAD_STRICT", help="Exit 96 when the verdict is INVALID."),
    click.option(
        "--summary",
        "summary_file",
        metavar="FILE.json",
        envvar="FASTLOAD_SUMMARY",
        help="Write the summary as JSON.",
    ),
    click.option(
        "--save",
        metavar="DIR|FILE",
        envvar="FASTLOAD_SAVE",
        help="Keep everything of the run, for fastload report and fastload compare.",
    ),
    click.option(
        "--html", metavar="FILE.html", envvar="FASTLOAD_HTML", help="Write a report with charts, in one file."
    ),
    click.option(
        "--out",
        multiple=True,
        type=ListText(),
        metavar="NAME[=WHERE]",
        envvar="FASTLOAD_OUT",
        help="Write or send it elsewhere too, like junit=report.xml. Repeatable.",
    ),
    click.option(
        "--strict-outputs",
        is_flag=True,
        envvar="FASTLOAD_STRICT_OUTPUTS",
        help="Exit 104 when any output lost something.",
    ),
    click.option(
        "--dashboard",
        metavar="[PORT|HOST:PORT]",
        envvar="FASTLOAD_DASHBOARD",
        help="Show the run in the browser while it lasts.  [port: 5665]",
    ),
    click.option("--open", is_flag=True, envvar="FASTLOAD_OPEN", help="Open the dashboard in the browser."),
    click.option(
        "--dashboard-linger",
        metavar="DURATION",
        default=DEFAULT_LINGER,
        show_default=True,
        envvar="FASTLOAD_DASHBOARD_LINGER",
        help="How long the dashboard stays at the end while somebody watches; 0s for not at all.",
    ),
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        envvar="FASTLOAD_JSON",
        help="Summary as JSON on stdout; everything else on stderr.",
    ),
    click.option("-q", "--quiet", is_flag=True, envvar="FASTLOAD_QUIET", help="No progress, only the summary."),
)

_HTTP = (
    click.option(
        "-H",
        "--header",
        "headers",
        multiple=True,
        type=ListText(lambda text: text.split(";")),
        metavar="'NAME: VALUE'",
        envvar="FASTLOAD_HEADERS",
        help="Header. Repeatable.",
    ),
    click.option(
        "--timeout",
        metavar="DURATION",
        default="60s",
        show_default=True,
        envvar="FASTLOAD_TIMEOUT",
        help="Longest time for a request.",
    ),
    click.option(
        "-k", "--insecure", is_flag=True, envvar="FASTLOAD_INSECURE", help="Do not verify the server's TLS certificate."
    ),
    click.option(
        "--dns-select",
        type=click.Choice(["first", "random", "roundRobin"]),
        metavar="HOW",
        envvar="FASTLOAD_DNS_SELECT",
        help="Which of a host's addresses VUs take: first, random, roundRobin.",
    ),
    click.option(
        "--http",
        "http_version",
        type=click.Choice(["1.1", "2", "2-prior", "3"]),
        envvar="FASTLOAD_HTTP",
        help="HTTP version.",
    ),
    click.option(
        "--warmup",
        metavar="DURATION",
        default="0s",
        show_default=True,
        envvar="FASTLOAD_WARMUP",
        help="Load before the measurement; not counted.",
    ),
)


class RunOutputs(NamedTuple):
    """The outputs of a run. *stdout_is_data*: one of them writes data to stdout, so nothing else may write there."""

    all: list[Output]
    stdout_is_data: bool


@dataclass(frozen=True, slots=True)
class SharedOptions:
    """The values of the shared options."""

    workers: int | None
    thresholds: tuple[str, ...]
    watch: tuple[str, ...]
    on_worker_loss: OnWorkerLoss
    on_no_answer: OnNoAnswer
    strict: bool
    summary_file: str | None
    save: str | None
    html: str | None
    out: tuple[str, ...]
    strict_outputs: bool
    dashboard: str | None
    open: bool
    dashboard_linger: str
    as_json: bool
    quiet: bool

    @classmethod
    def take(cls, options: dict[str, Any]) -> SharedOptions:
        """Remove the shared options from a command's keyword arguments and return them."""
        return cls(**{name: options.pop(name) for name in cls.__slots__})

    def plan_settings(self) -> dict[str, Any]:
        """Return the fields of `Plan` that these options set."""
        return {
            "watch": self.watch,
            "on_worker_loss": self.on_worker_loss,
            "on_no_answer": self.on_no_answer,
            "strict": self.strict,
            "strict_outputs": self.strict_outputs,
        }

    def outputs(self, control: tuple[str, int] | None = None) -> RunOutputs:
        """Return the outputs that these options ask for. *control* is the host and port of the control API.

        If an output writes data to stdout, everything else that this process prints from now on goes to stderr.

        Raises:
            PlanError: an output does not exist, the summary file cannot be written, stdout is closed, two outputs
                use the same file or port, or an output would overwrite a file that the command reads.
        """
        named = [
            make_named_sink(one) for one in requested_outputs({"out": self.out, "html": self.html, "save": self.save})
        ]
        given = (("--json", STDOUT if self.as_json else None), ("--summary", self.summary_file))
        written = [WrittenFile(option, path) for option, path in given if path]
        written += [file for one in named for file in one.written]
        check_distinct_files(written, _files_read())
        dashboard = dashboard_address(self.dashboard, opens=self.open)
        ports = [
            ListeningPort(f"--{option}", *at) for option, at in (("control", control), ("dashboard", dashboard)) if at
        ]
        check_ports([*ports, *(listener for one in named for listener in one.listeners)])
        on_stdout = [one.option for one in written if is_stdout(one.path)]
        if stdout_is_data := bool(on_stdout):
            claim_stdout(on_stdout[0])
        console = open_console(sys.stderr if stdout_is_data else sys.stdout)
        outputs: list[Output] = [] if self.quiet else [progress_output(console)]
        if not (stdout_is_data and self.quiet):
            outputs.append(SummaryReport(console))
        if self.summary_file:
            summary_file = SummaryFile(Path(self.summary_file), option="--summary")
            summary_file.check()
            outputs.append(summary_file)
        if self.as_json:
            outputs.append(SummaryStream(data_stdout()))
        return RunOutputs([*outputs, *sink_outputs_of(named)], stdout_is_data)

    def make_dashboard(self) -> DashboardAddress | None:
        """Return the dashboard that these options ask for, if any.

        Raises:
            PlanError: its address or the time that it lingers is malformed, or other machines can reach it and there
                is no token.
        """
        address = dashboard_address(self.dashboard, opens=self.open)
        linger_s = parse_duration_s(self.dashboard_linger, what="--dashboard-linger")
        return DashboardAddress(make_dashboard(address, linger_s), opens=self.open) if address else None


_READ = {"script": "the script", "config": "the file of --config", "opts": "the file of --opts"}


def _files_read() -> dict[str, str]:
    """Return the files that the arguments of the current command name as input: ``{path: description}``."""
    given = click.get_current_context().params
    return {given[name]: what for name, what in _READ.items() if given.get(name)}


class SharedCommand(click.Command):
    """A command with the shared options; the value of ``--dashboard`` may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(fill_address(args)))


def shared_options(command: AnyFunction) -> AnyFunction:
    """Add the shared options to a command, which gets them as keyword arguments (see `SharedOptions.take`)."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


def http_options(command: AnyFunction) -> AnyFunction:
    """Add the options for all requests to a command. `http_settings` and `header_lines` convert their values."""
    for option in reversed(_HTTP):
        command = option(command)
    return command


def http_settings(options: dict[str, Any], **settings: Any) -> HttpSettings:
    """Return the HTTP settings of these options; *settings* are the values that the command itself sets.

    Raises:
        PlanError: the timeout is malformed, or this libcurl does not support the HTTP version.
    """
    names = {"timeout": "timeout", "insecure": "insecure", "http_version": "http", "dns_select": "dns_select"}
    given = {to: options[name] for name, to in names.items() if options[name]}
    return make_http(given, HttpSettings(**settings))


def header_lines(options: dict[str, Any]) -> tuple[str, ...]:
    """Return the header lines of repeated ``-H`` options.

    Raises:
        PlanError: a header has no colon or no name, or has a line break in it.
    """
    pairs = parse_pairs(options["headers"], separator=":", what="header", example="Accept: application/json")
    for name, value in pairs.items():
        check_header(name, value)
    return tuple(f"{name}: {value}" for name, value in pairs.items())


def run_plan(
    plan: Plan,
    given: RunOutputs,
    *,
    target: ShippedTarget | None = None,
    control: tuple[str, int] | None = None,
    keyboard: bool = False,
    dashboard: DashboardAddress | None = None,
) -> ExitCode:
    """Run *plan* and return the exit code. Outputs that lost data are reported on stderr.

    *given* are the outputs; *target* is the target started for this run; *control* is the host and port of the
    control API; *keyboard*: whether the keys of the terminal steer the run; *dashboard* shows the run, and steers it
    if there is a control API.
    """
    plan, outputs = replace(plan, stdout_is_data=given.stdout_is_data), given.all
    pids, name = (target.pids, target.name) if target else ((), "")
    commands = CommandQueue() if control else None
    server = None
    if control and commands:
        server = ControlServer(commands, *control, token=os.environ.get("FASTLOAD_CONTROL_TOKEN", ""))
        outputs = [_ControlAddress(server), *outputs]
    if dashboard is not None:
        dashboard.output.ask = partial(commands.ask, who="the dashboard") if commands else None
        outputs = [SinkOutput("dashboard", dashboard.output), dashboard, *outputs]
    summary = execute(
        plan,
        outputs,
        target_pids=pids,
        target_name=name,
        commands=commands,
        server=server,
        keyboard=keyboard,
        on_written=_tell_losses,
    )
    # The results are complete. The rest takes a moment, and a Ctrl-C in it must not change the exit code.
    ignore_stop_signals()
    return exit_code(summary)


def _tell_losses(summary: Summary) -> None:
    """Print on stderr what outputs lost, and what came too late for the report."""
    for note in (note for note in summary.notes if note.startswith("output ")):
        write_stderr(f"{'Error' if summary.outputs_failed else 'Warning'}: {note}")
    for late in summary.hook_errors:
        if late.hook == "test_stop":
            # test_stop is called after the report was made, so the report does not have its error.
            write_stderr(f"Error: {late.hook}: {late.message}")


class _ControlAddress:
    """An output that prints the address of the control API on stderr at the start of the run."""

    name = "--control"

    def __init__(self, server: ControlServer) -> None:
        self._server = server

    def start(self, plan: Plan) -> None:  # noqa: ARG002 - the interface of every output
        write_stderr(f"control: {self._server.address}")

    def snapshot(self, snapshot: Snapshot) -> None:
        """Nothing to show."""

    def stop(self, summary: Summary) -> None:
        """Nothing to show."""


@dataclass(frozen=True, slots=True)
class ShippedTarget:
    """A target that was started for this run: its address, its processes, and the CPUs left for the workers."""

    name: str
    base_url: str
    pids: tuple[int, ...]
    worker_cpus: tuple[int, ...]


@contextmanager
def shipped_target(name: str, limits: tuple[str, ...] = ()) -> Iterator[ShippedTarget]:
    """Start target *name* with *limits*, and stop it at the end of the block.

    With two or more CPUs, it gets CPUs of its own.

    If workers and target shared a CPU, each would wait for the other, and the measured latencies would include it.
    """
    allowed = sorted(os.sched_getaffinity(0))
    half = len(allowed) // 2
    split = half and usable_cpus() >= len(allowed)
    target_cpus, worker_cpus = (allowed[half:], allowed[:half]) if split else (allowed, [])
    os.sched_setaffinity(0, target_cpus)
    try:
        # API_KEY and RATE_LIMIT_PER_MINUTE in this environment are meant for another server.
        options = find_target(name).options_type(api_key="", rate_limit_per_minute=0, limits=limits)
        with running(name, options) as target:
            os.sched_setaffinity(0, allowed)
            yield ShippedTarget(name, target.base_url, target.pids, tuple(worker_cpus))
    finally:
        os.sched_setaffinity(0, allowed)


def parse_pairs(texts: tuple[str, ...], *, separator: str, what: str, example: str) -> dict[str, str]:
    """Return ``{name: value}`` for options like ``K=V``.

    Raises:
        PlanError: an option has no separator or no name.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        name, found, value = text.partition(separator)
        if not found or not name.strip():
            raise PlanError(f"{what} {text!r} is not NAME{separator}VALUE", hint=f"write it like {example!r}")
        pairs[name.strip()] = value.strip() if separator == ":" else value
    return pairs
