"""What to do about each kind of error: one table, which has them all."""

from __future__ import annotations

import pytest

from fastload.load.client.websocket import WebSocketClosed
from fastload.load.engine.error_kinds import ERROR_KINDS
from fastload.load.recording.outcome import GIVEN_UP, JUDGED
from fastload.model.error_remedies import OTHER_REMEDY, PROXY_REMEDY, REMEDIES, remedy_of
from fastload.model.judging.evidence import Evidence
from fastload.model.judging.verdict import judge_run


def test_every_kind_has_a_remedy() -> None:
    own = {kind for kind in REMEDIES if not kind.startswith("http_")}
    assert own == {*ERROR_KINDS, GIVEN_UP, JUDGED, WebSocketClosed(1011, "").kind}
    for kind in (kind for kind in REMEDIES if kind.startswith("generator_")):
        verdict = judge_run(
            Evidence(open_model=False, requests=9, failed=9, requests_per_s=9.0, vus=1, errors={kind: 9})
        )
        assert (verdict.findings[0].cause, verdict.remedy) == (kind, REMEDIES[kind])


def test_a_remedy_is_short_and_plain() -> None:
    for text in (*REMEDIES.values(), OTHER_REMEDY, PROXY_REMEDY):
        assert 10 < len(text) <= 110
        assert text[0].islower()
        assert not text.endswith(".")


@pytest.mark.parametrize(
    ("kind", "like"),
    [
        ("judged: too slow: 5 s", "judged"),
        ("http_503", "http_503"),
        ("http_418", "http_4xx"),
        ("http_599", "http_5xx"),
        ("http_204", "http_xxx"),
    ],
)
def test_kinds_that_share_one(kind: str, like: str) -> None:
    assert remedy_of(kind) == REMEDIES[like]


def test_who_does_not_get_past_the_proxy_is_told_of_the_proxy() -> None:
    over = "GET http://a/: Failed to connect to a:80 over proxy 10.0.0.9 after 0 ms: Could not connect to server"
    for kind in ("connect_refused", "connect_timeout", "connect_unreachable", "connect_failed"):
        assert remedy_of(kind, over) == PROXY_REMEDY
        assert remedy_of(kind, "GET http://a/: Failed to connect to a:80 after 0 ms") == REMEDIES[kind]
    assert remedy_of("dns", "GET http://a/: Could not resolve proxy: b") == PROXY_REMEDY
    assert remedy_of("timeout", over) == REMEDIES["timeout"]


@pytest.mark.parametrize("kind", ["KeyError", "ValueError", "", "a: b"])
def test_what_is_no_kind_is_an_exception_of_the_script(kind: str) -> None:
    assert remedy_of(kind) == OTHER_REMEDY
