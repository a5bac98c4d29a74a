"""``fastload target``: starts a server that ships with fastload, to try fastload or to test against."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from fastload.model.units import parse_duration_s, parse_share
from fastload.targets import find_target, serve, target_names
from fastload.targets.distributions import parse_distribution
from fastload.targets.limits import parse_limits


class _Targets(click.Group):
    """A click group that suggests the nearest target for an unknown name."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if not args[0].startswith("-"):
            find_target(args[0])
        return super().resolve_command(ctx, args)


@click.group(cls=_Targets, short_help="Start a server that ships with fastload.")
def target() -> None:
    """Start a server that ships with fastload, to load-test it; Ctrl-C stops it."""


def _share(_context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Return a share from 0 to 1 for "1%" or "0.01"."""
    return None if text is None else parse_share(text, what=option.opts[0])


def _seconds(_context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Return the seconds of a duration like "5m"."""
    return None if text is None else parse_duration_s(text, what=option.opts[0])


def _distribution(_context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Check *text*, with the option's name in the error, and return it unchanged."""
    if text is not None:
        parse_distribution(text, what=option.opts[0])
    return text


def _limits(_context: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...] | None:
    """Check *texts*, with the option's name in the error, and return them unchanged."""
    parse_limits(texts, what=option.opts[0])
    return texts or None


def _option(*names: str, **settings: Any) -> Callable[[], click.Option]:
    # Each command gets its own option object. The parameter has the same name as the field of `TargetOptions`.
    return lambda: click.Option(names, **settings)


_COUNT = click.IntRange(0)
_RATE_LIMIT = _option(
    "--rate-limit",
    "rate_limit_per_minute",
    type=_COUNT,
    metavar="N",
    help="Requests a minute, all processes; 0 is no limit.  [env: RATE_LIMIT_PER_MINUTE]",
)
_FAULTS = (
    _option(
        "--latency", metavar="DIST", callback=_distribution, help="Wait before handling: 20ms, 10ms..50ms, exp(20ms)..."
    ),
    _option("--failure-rate", metavar="SHARE", callback=_share, help="Share answered 500 or 503: 1% or 0.01."),
    _option("--seed", type=int, metavar="N", help="Repeat what is drawn by chance."),
    _option(
        "--limit",
        "limits",
        multiple=True,
        metavar="LIMIT",
        callback=_limits,
        help="What limits the server: pool=4:20ms, lock, one-thread, rate=100/s, leak... Repeatable.",
    ),
)
_API_KEY = _option("--api-key", metavar="KEY", help="Key that requests must carry.  [env: API_KEY; default: none]")
_JOBS = (
    _option("--job-time", metavar="DIST", callback=_distribution, help="What a job takes.  [default: {job_time}]"),
    _option(
        "--job-failure-rate",
        metavar="SHARE",
        callback=_share,
        help="Share of jobs that fail.  [default: {job_failure_rate}]",
    ),
)
_OWN = {
    "sequencer": (
        _option("--db", metavar="FILE", help="SQLite file, kept at the end.  [default: a temporary one]"),
        _API_KEY,
    ),
    "did": (
        _option(
            "--client-limit",
            "client_limit_per_minute",
            type=_COUNT,
            metavar="N",
            help="Requests a minute of one wallet; 0 is no limit.  [default: 0]",
        ),
        _option(
            "--max-age",
            "max_age_s",
            metavar="DURATION",
            callback=_seconds,
            help="A timestamp further from now is stale.  [default: 5m]",
        ),
        _API_KEY,
    ),
    "widget": (
        _option(
            "--nonce-ttl",
            "nonce_ttl_s",
            metavar="DURATION",
            callback=_seconds,
            help="How long a nonce can be validated.  [default: 5m]",
        ),
        _option("--pool", type=click.IntRange(1), metavar="N", help="Jobs rendered at once.  [default: {pool}]"),
        _option("--queue-size", type=_COUNT, metavar="N", help="Jobs that may wait.  [default: {queue_size}]"),
        *_JOBS,
        _API_KEY,
    ),
    "generation": (
        _option("--email", help="The first user.  [env: TEST_EMAIL; default: test@example.com]"),
        _option("--password", help="Password of every user.  [env: TEST_PASSWORD; default: testpassword123]"),
        _option("--users", type=click.IntRange(1), metavar="N", help="Users: test@..., test+2@...  [default: {users}]"),
        _option("--credits", type=_COUNT, metavar="N", help="Generations each can start.  [default: {credits}]"),
        *_JOBS,
        _option(
            "--provider-failure-rate",
            metavar="SHARE",
            callback=_share,
            help="Share refused at once with 502.  [default: {provider_failure_rate}]",
        ),
        _option("--mock", is_flag=True, default=None, help="No provider: ready at once, no failures."),
    ),
    "plain": (_API_KEY,),
    "score": (
        _option("--scorers", metavar="IDS", help="Scorers that exist, with commas.  [env: SCORER_ID; default: 1]"),
        _option("--threshold", type=_COUNT, metavar="N", help="Score that passes.  [default: {threshold}]"),
        _API_KEY,
    ),
}


def _command(name: str) -> click.Command:
    spec = find_target(name)

    def start(port: int, host: str, workers: int, **values: Any) -> None:
        given = {field: value for field, value in values.items() if value is not None}
        serve(name, spec.options_type(**given), port=port, host=host, workers=workers, announce=_announce)

    listening = (
        click.Option(
            ("--port",),
            type=click.IntRange(0, 65535),
            default=spec.default_port,
            metavar="N",
            help=f"Port; 0 takes a free one.  [default: {spec.default_port}]",
        ),
        click.Option(("--host",), default="127.0.0.1", show_default=True, help="Address to listen on."),
        click.Option(
            ("--workers",), type=click.IntRange(1), default=1, metavar="N", help="Server processes.  [default: 1]"
        ),
    )
    own = [make() for make in (*_OWN[name], _RATE_LIMIT, *_FAULTS)]
    defaults = vars(spec.options_type())
    for option in own:
        option.help = (option.help or "").format_map(defaults)
    first, _, routes = spec.description.partition("\n\n")
    text = f"{first}\n\n\b\nRoutes:\n" + "\n".join(f"  {line}" for line in routes.splitlines())
    return click.Command(name, params=[*listening, *own], callback=start, help=text, short_help=first)


for _name in target_names():
    target.add_command(_command(_name))


def _announce(text: str) -> None:
    sys.stderr.write(f"{text}\nCtrl-C stops it.\n")
