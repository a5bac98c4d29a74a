"""A comparison of runs as JSON."""

from __future__ import annotations

import orjson

from fastload.model.compare.comparison import Comparison, comparison_to_dict
from fastload.outputs.summary_json import dump_json


def comparison_json(comparison: Comparison) -> bytes:
    """Return `comparison_to_dict` as indented JSON."""
    return dump_json(comparison_to_dict(comparison), orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
