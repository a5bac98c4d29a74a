"""Stop signals (Ctrl-C, SIGTERM, SIGHUP) of a command outside of a run. It imports nothing that takes time."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = "Interrupted."
_EXIT_CODE = 105
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_at_once_on_stop_signals() -> None:
    """End the process at a stop signal from now on, with one line on stderr and exit code 105.

    This is for the time in which only modules are imported and nothing is begun. An exception in an import may get
    lost there, or leave a C extension half made, which ends with a traceback or a crash. Signals that are ignored stay
    ignored.
    """
    for number in _STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)


def raise_on_stop_signals() -> None:
    """Raise `KeyboardInterrupt` at a stop signal from now on, so that what the command has begun is cleaned up.

    Handlers that `end_at_once_on_stop_signals` has not set are kept.
    """
    for number in _STOP_SIGNALS:
        if signal.getsignal(number) is _end_at_once:
            signal.signal(number, signal.default_int_handler)


def _end_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    try:
        os.write(2, f"{INTERRUPTED}\n".encode())
    finally:
        os._exit(_EXIT_CODE)
