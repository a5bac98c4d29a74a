"""The name that a request gets from its URL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.load.client.context import fold_path


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/", "/"),
        ("", "/"),
        ("http://host:1", "/"),
        ("http://host:1/a?b=1#c", "/a"),
        ("/users/42", "/users/{id}"),
        ("/users/42/orders/7/", "/users/{id}/orders/{id}/"),
        ("/1/2/3", "/{id}/{id}/{id}"),
        ("/v1/users", "/v1/users"),
        ("/api/2fa", "/api/2fa"),
        ("/u/123e4567-e89b-12d3-a456-426614174000/x", "/u/{id}/x"),
        ("/u/123E4567-E89B-12D3-A456-426614174000", "/u/{id}"),
        ("/c/0123456789abcdef", "/c/{id}"),
        ("/c/0123456789abcde", "/c/0123456789abcde"),
        ("/c/" + "a" * 64, "/c/{id}"),
        ("/c/deadbeefdeadbeefg", "/c/deadbeefdeadbeefg"),
        ("/file-12.png", "/file-12.png"),
        ("https://host/users/42", "/users/{id}"),
        ("users/42", "users/{id}"),
    ],
)
def test_fold_path(url: str, expected: str) -> None:
    assert fold_path(url) == expected


@given(segments=st.lists(st.from_regex(r"[a-z]{1,8}|[0-9]{1,12}", fullmatch=True), max_size=6))
def test_folding_is_by_segment_and_stays(segments: list[str]) -> None:
    folded = fold_path("/" + "/".join(segments))
    assert folded == "/" + "/".join("{id}" if segment.isdigit() else segment for segment in segments)
    assert fold_path(folded) == folded
