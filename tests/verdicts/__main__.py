"""``python -m tests.verdicts [--times N] [--neighbour] [NAME ...]``: stage the cases on a quiet machine, one by one."""

from __future__ import annotations

import sys

import click

from tests.verdicts.stage import main


@click.command()
@click.option("--times", default=1)
@click.option("--neighbour", is_flag=True, help="Keep the CPU of the target busy.")
@click.argument("names", nargs=-1)
def command(times: int, neighbour: bool, names: tuple[str, ...]) -> None:
    sys.exit(1 if main(times, names, with_neighbour=neighbour) else 0)


command()
