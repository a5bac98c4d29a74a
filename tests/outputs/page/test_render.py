"""The HTML around the data of a page: what cannot break it, and the parts that other pages add."""

from __future__ import annotations

import json
import subprocess
import sys

from fastload.outputs.page.render import asset, render_page
from tests.outputs.page.packed_page import data_in
from tests.outputs.seconds import NASTY


def test_data_cannot_end_its_element() -> None:
    data = {"text": NASTY + "<!--", "kind": "report"}
    served = render_page(data, title=NASTY, plotly_url="/plotly.min.js").decode()
    inside = served.partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(inside)["text"] == NASTY + "<!--"
    alone = render_page(data, title=NASTY).decode()
    assert data_in(alone) == data
    for page in (served, alone):
        assert "<title>&lt;/script&gt;" in page
        assert page.count("</script>") == page.count("<script")


def test_other_pages_have_their_own_parts() -> None:
    page = render_page(
        {},
        title="x",
        plotly_url="/plotly.min.js",
        scripts=["hello()"],
        styles=["b{}"],
        bar="<i>bar</i>",
        connect="'self'",
    ).decode()
    assert '<script src="/plotly.min.js"></script>' in page
    assert len(page) < 200_000
    assert page.index("fastload.charts =") < page.index("<script>hello()</script>") < page.index(asset("start.js")[:40])
    assert "connect-src 'self'" in page
    assert "<i>bar</i>" in page
    assert "b{}" in page


def test_plotly_is_not_imported_for_its_script() -> None:
    code = """
import sys
from fastload.outputs.page.render import plotly_js
assert "plotly.js" in plotly_js()[:200]
assert "plotly" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
