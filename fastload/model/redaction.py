"""Redaction: which names of headers, parameters and variables are secret, and texts without the values of these."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_plus

REDACTED = "***"
"""What stands in place of a secret value."""
SECRET_PARTS = (
    *("token", "secret", "passw", "passphrase", "pwd", "signature", "session", "sessid", "credential", "cookie"),
    *("authoriz", "authentication", "private", "apikey", "accesskey"),
)
"""Names that have one of these anywhere in them, without case, ``-`` and ``_``, are secret."""
SECRET_WORDS = ("key", "keys", "pass", "auth", "pw", "sig", "sid", "jwt", "otp", "pin", "csrf", "xsrf")
"""Names that have one of these as a whole word are secret."""
MOST_TEXT = 4_000
"""How many characters of a message or a traceback are kept."""
# Room for the mark of what is left out.
_MARK = 60
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# A value ends where a URL ends in a sentence or in a line of a program.
_PARAMETER = re.compile(r"([?&;#])([^=&;#?\s\"'<>]+)=([^&;#\s\"'<>]*)")
_USER = re.compile(r"://[^/?#\s\"'<>]*@")
# Credentials of the Authorization header, in an exception that quotes it. Words are shorter.
_CREDENTIALS = re.compile(r"\b(Basic|Bearer|ApiKey|Token) +[\w.~+/=-]{16,}", re.IGNORECASE)


@lru_cache(maxsize=1000)
def is_secret(name: str) -> bool:
    """Return whether a header, parameter or variable *name* looks as if its value is secret, like ``X-Api-Key``,
    ``access_token`` or ``sessionId``."""
    joined = name.lower().replace("-", "").replace("_", "")
    return any(part in joined for part in SECRET_PARTS) or any(
        word.lower() in SECRET_WORDS for word in _WORDS.findall(name)
    )


def redacted(text: str) -> str:
    """Return *text* without secrets: URLs in it lose ``user:password@`` and the values of secret parameters, and an
    Authorization header loses its credentials."""
    return _CREDENTIALS.sub(rf"\1 {REDACTED}", redacted_url(text))


def redacted_url(url: str) -> str:
    """Return *url* without ``user:password@`` and without the values of secret parameters."""
    if "@" in url:
        url = _USER.sub("://", url)
    return _PARAMETER.sub(_without_value, url) if "=" in url else url


def shortened(text: str, most: int = MOST_TEXT) -> str:
    """Return the `redacted` *text*; if it has more than *most* characters, its begin and its end, and between them how
    many are left out."""
    if len(text) <= most:
        return redacted(text)
    end = most // 4
    # More than what is kept is redacted: a cut must not part a secret from its name.
    begin, last = redacted(text[: 4 * most])[: most - end - _MARK], redacted(text[-4 * most :])[-end:]
    return f"{begin} [… {len(text) - most + _MARK:,} characters left out …] {last}"


def _without_value(found: re.Match[str]) -> str:
    if not is_secret(unquote_plus(found[2])):
        return found[0]
    # What ends a sentence, or begins the rest of one, is no part of a value.
    value = found[3]
    return f"{found[1]}{found[2]}={REDACTED}{value[len(value.rstrip(':,.)]}')) :]}"
