"""Rendering of a page with charts: as one HTML file, which opens offline and makes no requests, or for a server.

The parts are the template ``page.html``, the styles and scripts beside this module, the data as JSON, and plotly.js
from the package ``plotly``. In one file, scripts and data are packed (`packed`); the page of a server loads plotly.js
from it. Other pages with charts (dashboard, comparison) add their own template, data and scripts, and use the other
parts as they are; `asset` returns a part by its file name.
"""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.util
import string
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fastload.outputs.page.packed import packed_script
from fastload.outputs.summary_json import dump_json

STYLES = ("page.css", "parts.css")
SCRIPTS = (
    "units.js",
    "dom.js",
    "axes.js",
    "time.js",
    "traces.js",
    "plot.js",
    "columns.js",
    "charts_load.js",
    "charts_machine.js",
    "charts.js",
    "charts_endpoints.js",
    "tables.js",
    "charts_capacity.js",
    "capacity.js",
    "about.js",
    "sections.js",
    "outcome.js",
    "page.js",
)
"""Scripts of each page, in the order of execution. Each adds to the one global object ``fastload``; see its head."""
_START = "start.js"
_UNPACK = "unpack.js"

_HERE = Path(__file__).parent


def render_page(
    data: Mapping[str, Any],
    *,
    title: str,
    template: str | None = None,
    plotly_url: str = "",
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    bar: str = "",
    connect: str = "'none'",
) -> bytes:
    """Render the page, as UTF-8.

    Args:
        data: `page_data`, or the data for the scripts of another *template*; the page has it in the element ``#data``.
        template: HTML with the same placeholders as ``page.html``, which is the default.
        plotly_url: URL of plotly.js; by default plotly.js is part of the page.
        scripts: texts of additional scripts, executed after `SCRIPTS`, like ``live.js`` of the dashboard.
        styles: texts of additional styles.
        bar: HTML for the element ``#bar`` below the head, like buttons to control a run; a report has none.
        connect: value of ``connect-src`` in the ``Content-Security-Policy``: the hosts that scripts may connect to.
    """
    texts = [*map(asset, SCRIPTS), *scripts, asset(_START)]
    if plotly_url:
        tags = [f'<script src="{html.escape(plotly_url)}"></script>', *map(_script, texts)]
        allowed = ["'self'", *map(_source_of, map(_element_text, texts))]
    else:
        # One script takes less room than many.
        whole = "\n".join(texts)
        tags = [
            _packed_plotly(),
            packed_script("data", dump_json(data)),
            packed_script("scripts", whole.encode()),
            _script(asset(_UNPACK)),
        ]
        allowed = [_source_of_plotly(), _source_of(whole), _source_of(_element_text(asset(_UNPACK)))]
    page = string.Template(asset("page.html") if template is None else template)
    return page.safe_substitute(
        title=html.escape(title),
        policy=_policy(allowed, connect),
        style="\n".join([*map(asset, STYLES), *styles]),
        bar=bar,
        data=json_in_html(data) if plotly_url else "",
        scripts="\n".join(tags),
    ).encode("utf-8", "replace")


@cache
def asset(name: str) -> str:
    """Return the text of a file beside this module."""
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def plotly_js() -> str:
    """Return the text of plotly.js. The package ``plotly`` is not imported, because its import is slow."""
    spec = importlib.util.find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _script(text: str) -> str:
    # A closing tag inside the script would end the element, even inside a JavaScript string.
    return f"<script>{_element_text(text)}</script>"


def _element_text(text: str) -> str:
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@cache
def _packed_plotly() -> str:
    return packed_script("library", plotly_js().encode())


@cache
def _source_of_plotly() -> str:
    return _source_of(plotly_js())


def _source_of(text: str) -> str:
    """Return the script *text* as a source of a Content-Security-Policy: its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _policy(allowed: Iterable[str], connect: str) -> str:
    """Return a Content-Security-Policy that allows only these scripts, and none injected by a message of the target."""
    return (
        f"default-src 'none'; script-src {' '.join(allowed)}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def json_in_html(data: Mapping[str, Any]) -> str:
    """Return *data* as JSON for a ``<script>`` element; ``<``, ``>`` and ``&`` are escaped, so no text can end it."""
    text = dump_json(data).decode("utf-8")
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
