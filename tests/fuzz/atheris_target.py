"""The process of atheris: ``python -m tests.fuzz.atheris_target frames|deltas|run_files [options of libFuzzer]``.

What it finds it writes to a file ``crash-...``; given as an argument, that file is run again.
"""

from __future__ import annotations

import contextlib
import struct
import sys
from collections.abc import Callable
from typing import Any

import atheris

with atheris.instrument_imports(include=["fastload.model"]):
    from fastload.model import frames, records
    from fastload.model.saved import codec, plain_types, saved_plan, saved_summary  # noqa: F401

from fastload.model.errors import FastloadError
from tests.fuzz.mutations import mutated
from tests.fuzz.run_files import read_record, record, small
from tests.fuzz.source import Source
from tests.fuzz.test_wire import delta_body


def _frames(data: bytes) -> None:
    decoder = frames.FrameDecoder()
    list(decoder.feed(data))
    list(decoder.feed(struct.pack(">I", len(data)) + data))


_BODIES = dict(small())
_KNOWN = codec.header_from_plain(frames.unpack(frames.pack(_BODIES[codec.HEADER])))
_DELTA = delta_body()


def _deltas(data: bytes) -> None:
    records.Delta.from_body(mutated(_DELTA, Source(data)))


def _run_files(data: bytes) -> None:
    source = Source(data)
    kind = source.choice((codec.HEADER, codec.SECOND, codec.SUMMARY))
    payload = record(kind, mutated(_BODIES[kind], source))[codec.PREFIX_BYTES :]
    read_record(kind, payload, _KNOWN)


TARGETS: dict[str, Callable[[bytes], Any]] = {"frames": _frames, "deltas": _deltas, "run_files": _run_files}


def main() -> None:
    """Run the target that the first argument names, until libFuzzer ends the process."""
    target = TARGETS[sys.argv.pop(1)]

    def test_one_input(data: bytes) -> None:
        with contextlib.suppress(FastloadError):
            target(data)

    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
