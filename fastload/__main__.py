"""``python -m fastload``, and the console script."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command and leave with its exit code; a Ctrl-C while it is imported is one, and no traceback."""
    try:
        from fastload.cli.main import main as command
    except KeyboardInterrupt:
        # As in fastload.cli.main, which is not there.
        exec("")
        sys.exit(105)
    command()


if __name__ == "__main__":
    main()
