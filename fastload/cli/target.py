"""``fastload target``: the servers that ship with fastload, to try it out and to test against."""

from __future__ import annotations

import sys

import click

from fastload.targets import SequencerOptions, find_target, serve_sequencer


@click.group(short_help="Start a server that ships with fastload.")
def target() -> None:
    """Start a server that ships with fastload, to load-test it; Ctrl-C stops it."""


def _describe(name: str) -> str:
    first, _, routes = find_target(name).description.partition("\n\n")
    return f"{first}\n\n\b\nRoutes:\n" + "\n".join(f"  {line}" for line in routes.splitlines())


@target.command(help=_describe("sequencer"), short_help=find_target("sequencer").summary)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Server processes.")
@click.option("--db", metavar="FILE", help="SQLite file, kept at the end.  [default: a temporary one]")
@click.option("--rate-limit", type=click.IntRange(0), help="Requests a minute.  [env: RATE_LIMIT_PER_MINUTE]")
@click.option("--api-key", help="Key that requests must carry.  [env: API_KEY; default: none]")
def sequencer(port: int, host: str, workers: int, db: str | None, rate_limit: int | None, api_key: str | None) -> None:
    options = SequencerOptions(db=db, rate_limit_per_minute=rate_limit, api_key=api_key)
    serve_sequencer(options, port=port, host=host, workers=workers, announce=_announce)


def _announce(text: str) -> None:
    sys.stderr.write(f"{text}\nCtrl-C stops it.\n")
