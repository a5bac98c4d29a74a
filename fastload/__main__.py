"""``python -m fastload``, and the console script."""

from __future__ import annotations

from fastload.cli.interrupts import end_at_once_on_stop_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command and leave with its exit code; a Ctrl-C while it is imported is one, and no traceback."""
    end_at_once_on_stop_signals()
    from fastload.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
