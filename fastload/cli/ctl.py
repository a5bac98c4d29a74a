"""``fastload ctl``: steers a run that was started with ``--control``, from another terminal."""

from __future__ import annotations

import http.client
import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from fastload.control.commands.command_queue import AMOUNTS
from fastload.control.commands.control_server import DEFAULT_CONTROL_PORT, parse_control
from fastload.model.errors import ControlError, PlanError
from fastload.model.units import format_count, format_duration_s, format_number_of

# Longer than the run's own time limit for an answer, so that the run's error message arrives before this timeout.
_TIMEOUT_S = 15.0


class Client:
    """A client of the control API at *url*."""

    def __init__(self, url: str, token: str, *, as_json: bool) -> None:
        self._url = url
        self._token = token
        self.as_json = as_json

    def ask(self, command: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the run's answer to *command*. With *arguments*, the request is a POST.

        Raises:
            PlanError: the token cannot be sent.
            ControlError: no server answers, the server is not a run of fastload, or the run refuses the command.
        """
        headers = {"Content-Type": "application/json"}
        if self._token:
            if not self._token.isprintable():
                raise PlanError("--token has characters that no header may have", hint="it is one line of text")
            headers["Authorization"] = f"Bearer {self._token}".encode().decode("latin-1")
        body = None if arguments is None else json.dumps(arguments).encode()
        request = urllib.request.Request(f"{self._url}/v1/{command}", body, headers)
        try:
            with _opener().open(request, timeout=_TIMEOUT_S) as response:
                return self.object_of(response.read())
        except urllib.error.HTTPError as error:
            with error:
                answer = self.object_of(error.read())
            raise ControlError(str(answer.get("error")), hint=str(answer.get("hint") or "")) from error
        except urllib.error.URLError as error:
            port = urlsplit(self._url).port or DEFAULT_CONTROL_PORT
            reason = getattr(error.reason, "strerror", None) or error.reason
            raise ControlError(
                f"no run answers at {self._url}: {reason}",
                hint=f"start one with 'fastload run SCRIPT.py --control {port}', or give its port: ctl --port N",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise ControlError(f"the run at {self._url} went away: {error or 'no answer'}") from error

    def object_of(self, body: bytes) -> dict[str, Any]:
        try:
            found = json.loads(body)
        except (RecursionError, ValueError):
            found = None
        if not isinstance(found, dict):
            raise self._no_run()
        return found

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Turn an error of Python's own in the block, which reads an answer, into a `ControlError`.

        Raises:
            ControlError: the answer is not what a run answers.
        """
        try:
            yield
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise self._no_run() from error

    def _no_run(self) -> ControlError:
        return ControlError(f"{self._url} is not the control API of a run", hint="give the port of --control")


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener without proxies from the environment and without redirects, which could leak the token."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


@click.group(short_help="Steer a run that was started with --control.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=DEFAULT_CONTROL_PORT,
    show_default=True,
    help="Its port, on this machine.",
)
@click.option(
    "--url",
    metavar="URL",
    envvar="FASTLOAD_CONTROL",
    help="Its address instead, as URL, HOST:PORT or PORT.  [env: FASTLOAD_CONTROL]",
)
@click.option(
    "--token",
    metavar="TOKEN",
    envvar="FASTLOAD_CONTROL_TOKEN",
    default="",
    help="Its token, if it was given one.  [env: FASTLOAD_CONTROL_TOKEN]",
)
@click.option("--json", "as_json", is_flag=True, help="Answers as JSON.")
@click.pass_context
def ctl(ctx: click.Context, port: int, url: str | None, token: str, as_json: bool) -> None:
    """Steer a run that was started with --control: look at it, pause, scale and stop it.

    \b
    Examples:
      fastload ctl status
      fastload ctl scale --vus 50
      fastload ctl scale --by -10 --scenario browse
      fastload ctl --port 7000 stop
    """
    by_hand = {name for name in ("port", "url") if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if len(by_hand) == 2:
        raise PlanError("--port and --url exclude each other", hint="give one of them")
    if url is None or "port" in by_hand:
        url = str(port)
    ctx.obj = Client(address_of(url), token, as_json=as_json)


def address_of(text: str) -> str:
    """Return the base URL for the value of ``--url``.

    Raises:
        PlanError: *text* is neither an HTTP(S) URL nor ``HOST:PORT`` nor a port.
    """
    if "://" not in text:
        host, port = parse_control(text, what="--url")
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        parts = urlsplit(text)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise PlanError(
            f"--url {text!r} is not a URL of HTTP", hint=f"write it like http://127.0.0.1:{DEFAULT_CONTROL_PORT}"
        )
    return text.rstrip("/")


@ctl.command(help="Phase, progress, requests, and what each scenario is asked to do.")
@click.pass_obj
def status(client: Client) -> None:
    _show(client, client.ask("status"))


@ctl.command(help="The metrics of the run so far.")
@click.pass_obj
def metrics(client: Client) -> None:
    answer = client.ask("metrics")
    if client.as_json:
        _write_json(answer)
        return
    with client.readable():
        rows = [[name, *(f"{key}={_number(value)}" for key, value in of.items())] for name, of in answer.items()]
    click.echo("\n".join(_aligned(rows)) if rows else "no metrics yet")


@ctl.command(help="Start no more iterations until resume; those under way go on.")
@click.pass_obj
def pause(client: Client) -> None:
    _show(client, client.ask("pause", {}))


@ctl.command(help="Go on after pause, or begin a run that waits (--paused).")
@click.pass_obj
def resume(client: Client) -> None:
    _show(client, client.ask("resume", {}))


@ctl.command(help="Change how many VUs there are, or how many iterations start a second.")
@click.option("--vus", type=click.IntRange(0), help="So many VUs.")
@click.option("--rate", metavar="RATE", help="So many starts a second, like 200 or 1k/s.")
@click.option("--by", type=int, metavar="+N|-N", help="More or less by so many: VUs, or starts a second.")
@click.option("--scenario", metavar="NAME", help="Which, if several can be scaled.")
@click.pass_obj
def scale(client: Client, /, **options: Any) -> None:
    given = {name: value for name, value in options.items() if value is not None}
    amounts = [f"--{name}" for name in AMOUNTS if name in given]
    if len(amounts) != 1:
        found = f"{' and '.join(amounts)} exclude each other" if amounts else "nothing says how far"
        raise PlanError(f"scale: {found}", hint="give one of --vus, --rate or --by")
    answer = client.ask("scale", given)
    if client.as_json:
        _write_json(answer)
        return
    with client.readable():
        line = f"{answer['name']}: {_target(answer)}"
    click.echo(line)


@ctl.command(help="End the run: iterations under way may end; the run itself prints its summary.")
@click.option("--now", is_flag=True, help="Interrupt the iterations under way.")
@click.pass_obj
def stop(client: Client, now: bool) -> None:
    _show(client, client.ask("stop", {"now": now}))


def _show(client: Client, answer: Mapping[str, Any]) -> None:
    if client.as_json:
        _write_json(answer)
        return
    with client.readable():
        lines = status_lines(answer) if "scenarios" in answer else [str(answer["phase"])]
    click.echo("\n".join(lines))


def _write_json(answer: Mapping[str, Any]) -> None:
    click.echo(json.dumps(answer, indent=2))


def status_lines(status: Mapping[str, Any]) -> list[str]:
    """Return the answer to ``status`` as lines of readable text."""
    phase, elapsed_s = status["phase"], status["elapsed_s"]
    so_far = f"{format_duration_s(math.floor(elapsed_s))}, {status['progress'] * 100:.0f}%"
    lines = _aligned(
        [
            ["phase", phase, "waits for resume" if phase == "ready" else so_far],
            ["load", format_number_of(status["vus"], "VU"), format_number_of(status["workers_alive"], "worker")],
            ["requests", f"{format_count(round(status['requests_per_s']))}/s", f"{status['requests']:,} in all"],
            ["failed", "", f"{status['failed']:,} in all"],
        ]
    )
    rows = [["SCENARIO", "EXECUTOR", "TARGET", "MOST VUS", ""]]
    for scenario in status["scenarios"]:
        note = "can be scaled" if scenario["can_scale"] else ""
        rows.append(
            [scenario["name"], scenario["executor"], _target(scenario), format_count(scenario["max_vus"]), note]
        )
    return [*lines, "", *_aligned(rows)]


def _target(scenario: Mapping[str, Any]) -> str:
    """Return the VUs or the rate that a scenario should reach; a dash if the scenario's own schedule decides."""
    if "rate_per_s" in scenario:
        return f"{format_count(scenario['rate_per_s'])}/s"
    return format_number_of(scenario["vus"], "VU") if "vus" in scenario else "-"


def _aligned(rows: Iterable[list[str]]) -> list[str]:
    """Return the rows as lines; each column is as wide as its widest cell."""
    rows = list(rows)
    columns = max(map(len, rows), default=0)
    widths = [max((len(row[number]) for row in rows if number < len(row)), default=0) for number in range(columns)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


def _number(value: Any) -> str:
    return "-" if value is None else format_count(value)
