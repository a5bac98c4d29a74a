"""Conversion to scripts: from a recording of a browser, an API description, or a template."""

from fastload.convert.documents import convert
from fastload.convert.openapi.script import refuse_deletes
from fastload.convert.recordings.visits import RecordingFilter
from fastload.convert.script.writer import Conversion
from fastload.convert.templates import DATA_TEMPLATE, TEMPLATES, data_rows, from_template

__all__ = [
    "DATA_TEMPLATE",
    "TEMPLATES",
    "Conversion",
    "RecordingFilter",
    "convert",
    "data_rows",
    "from_template",
    "refuse_deletes",
]
