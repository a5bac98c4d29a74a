"""``python -m fastload``, and the console script."""

from __future__ import annotations

import sys

import fastload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


_INVALID = 104
"""As `fastload.cli.exit_codes.ExitCode`, which cannot be imported elsewhere than on Linux."""


def main() -> NoReturn:
    """Run the command and leave with its exit code; a Ctrl-C while it is imported is one, and no traceback."""
    if fastload._PLATFORM != "linux":
        sys.stderr.write(f"Error: fastload runs on Linux only, and this is {fastload._PLATFORM}\n")
        sys.stderr.write(f"Hint:  {fastload._HINT}\n")
        sys.exit(_INVALID)
    from fastload.cli.interrupts import end_at_once_on_stop_signals

    end_at_once_on_stop_signals()
    from fastload.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
