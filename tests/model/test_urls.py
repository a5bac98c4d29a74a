"""URLs as they are sent. The expected ones are those of the WHATWG's rules, which browsers follow."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.urls import add_query, ascii_host, encode_url, leaves_segment, path_of, with_ascii_host


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://h/a/b?c=d&e=%20f", "http://h/a/b?c=d&e=%20f"),
        ("http://h/ü", "http://h/%C3%BC"),
        ("http://h/日本?q=語", "http://h/%E6%97%A5%E6%9C%AC?q=%E8%AA%9E"),
        ("http://h/a b", "http://h/a%20b"),
        ("http://h/%zz%C3%bc%", "http://h/%zz%C3%bc%"),
        # Path and query do not encode the same.
        ("http://h/\"<>`{}^'|?\"<>`{}^'|", "http://h/%22%3C%3E%60%7B%7D%5E'|?%22%3C%3E`{}^%27|"),
        ("http://h/a#b c`", "http://h/a#b%20c%60"),
        ("http://ü:p@ß:;=|@h/", "http://%C3%BC:p%40%C3%9F%3A%3B%3D%7C@h/"),
        ("http://h\\a\\b", "http://h/a/b"),
        ("http://h/a\0b\x7f", "http://h/a%00b%7F"),
        # Around a URL, and with the line breaks of a file: it is what a browser makes of its address bar.
        (" \thttp://h/a\r\n", "http://h/a"),
        ("http://h/a\r\nX: y", "http://h/aX:%20y"),
        ("http://Bücher.example:80/", "http://xn--bcher-kva.example:80/"),
        ("http://faß.de/", "http://xn--fa-hia.de/"),
        ("http://☃.example/", "http://xn--n3h.example/"),
        ("http://例え。テスト/", "http://xn--r8jz45g.xn--zckzah/"),
        ("http://b%C3%BCcher.example/", "http://xn--bcher-kva.example/"),
        ("http://[::1]:80/ü", "http://[::1]:80/%C3%BC"),
        ("http://h?ü", "http://h?%C3%BC"),
        # No name of a host: libcurl says so.
        ("http://a b/", "http://a%20b/"),
        ("http://%ff/", "http://%ff/"),
        # Bytes of the command line, and what is no character.
        ("http://h/\udcff\ud800", "http://h/%FF%EF%BF%BD"),
    ],
)
def test_encoded(url: str, sent: str) -> None:
    assert encode_url(url) == sent
    assert encode_url(sent) == sent


NO_MARKS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\\?#@%\t\r\n"))


@given(st.text())
def test_whatever_it_is_it_can_be_sent(text: str) -> None:
    sent = encode_url(f"http://{text}")
    assert sent.isascii()
    assert sent.isprintable()
    assert " " not in sent
    assert encode_url(sent) == sent


@given(NO_MARKS, NO_MARKS, NO_MARKS)
def test_it_means_the_same(user: str, path: str, query: str) -> None:
    parts = urlsplit(encode_url(f"http://{user}@h/{path}?{query}."))
    assert [unquote(one) for one in (parts.path, parts.query)] == [f"/{path}", f"{query}."]
    assert ":".join(unquote(one) for one in parts.netloc.rpartition("@")[0].split(":", 1)) == user


def test_hosts() -> None:
    assert ascii_host("bücher.example") == "xn--bcher-kva.example"
    assert with_ascii_host("http://ü@bücher.example:8/ä?ö") == "http://ü@xn--bcher-kva.example:8/ä?ö"
    assert ascii_host("[fe80::1%25eth0]:80") == "[fe80::1%25eth0]:80"
    for wrong in ("a b", "a^b", "ü b", "%20", "a\0", "a:ü", "a:x", "[::1", "[ü]", "[::1]:x"):
        with pytest.raises(ValueError, match=r"is no|has no"):
            ascii_host(wrong)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://h/ü/1?x#y", "/ü/1"),
        ("/a?b", "/a"),
        ("http://h", "/"),
        ("", "/"),
        ("http://h?x=/", "/"),
        ("/\udcff", "/\ufffd"),
        # `urlsplit` raises for these.
        ("http://[::/x", "/x"),
        ("http://ab℀.example/x", "/x"),
    ],
)
def test_paths(url: str, path: str) -> None:
    assert path_of(url) == path


def test_queries() -> None:
    assert add_query("/a", "b=1") == "/a?b=1"
    assert add_query("/a?x=0", "b=1") == "/a?x=0&b=1"
    assert add_query("/a?x=0#y?z", "b=1") == "/a?x=0&b=1#y?z"
    assert add_query("/a#y?z", "b=1") == "/a?b=1#y?z"


def test_segments() -> None:
    assert all(map(leaves_segment, (".", "..", "%2e", "%2E.", ".%2e", "%2E%2e")))
    assert not any(map(leaves_segment, ("", "...", "a.", "%252e", "%2")))
