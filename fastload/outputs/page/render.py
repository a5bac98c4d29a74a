"""Puts a page together: one file with everything in it, which opens offline and asks nobody for anything.

The parts are the template ``page.html``, styles and scripts beside this module, the data as JSON, and plotly.js from
the package ``plotly``. Other pages with charts (dashboard, comparison) give their own template, data and further
scripts, and share the rest: `asset` has each by its name.
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
    "tables.js",
    "about.js",
    "sections.js",
    "outcome.js",
    "page.js",
)
"""In this order; each is a plain script that adds to the one global object ``fastload``, and says what at its top."""
_START = "start.js"

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
    """The page as UTF-8.

    Args:
        data: `page_data`, or what another *template*'s scripts read; it is in the page as ``#data``.
        template: HTML with the places of ``page.html``; that is the default.
        plotly_url: where the page loads plotly.js from; by default it is in the page itself.
        scripts: texts of further scripts, run last: ``live.js``, which follows a run.
        styles: texts of further styles.
        bar: HTML for the place under the head, ``#bar``, which is empty in a report: buttons to control a run.
        connect: what scripts may connect to, as in the header ``Content-Security-Policy``.
    """
    texts = [*map(asset, SCRIPTS), *scripts, asset(_START)]
    if not plotly_url:
        texts.insert(0, plotly_js())
    tags = [_script(text) for text in texts]
    if plotly_url:
        tags.insert(0, f'<script src="{html.escape(plotly_url)}"></script>')
    page = string.Template(asset("page.html") if template is None else template)
    return page.safe_substitute(
        title=html.escape(title),
        policy=_policy(texts, plotly_url, connect),
        style="\n".join([*map(asset, STYLES), *styles]),
        bar=bar,
        data=json_in_html(data),
        scripts="\n".join(tags),
    ).encode("utf-8", "replace")


@cache
def asset(name: str) -> str:
    """The text of a file beside this module."""
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def plotly_js() -> str:
    """The chart library, found without importing its package, which takes long."""
    spec = importlib.util.find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _script(text: str) -> str:
    # A closing tag within would end the element, whatever the language says.
    return f"<script>{_element_text(text)}</script>"


def _element_text(text: str) -> str:
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(texts: Iterable[str], plotly_url: str, connect: str) -> str:
    """A Content-Security-Policy under which these scripts run, and none that a message of a server brings in."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(_element_text(text).encode()).digest()).decode()}'" for text in texts
    )
    from_self = " 'self'" if plotly_url else ""
    return (
        f"default-src 'none'; script-src {hashes}{from_self}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def json_in_html(data: Mapping[str, Any]) -> str:
    """JSON for an element of data: no text of a script or a server can end it."""
    text = dump_json(data).decode("utf-8")
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
