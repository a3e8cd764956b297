"""The table of partners and levels that a Sendmail keeps, played by test_sendmail_matrix.py and the package's tests.

What becomes of mail is a TLS version, CLEAR, or why it waits, as the queue tells it; here are patterns of that.
"""

TLS, CLEAR = r"^TLSv1\.3$", r"^CLEAR$"
NO_TLS = r"TLS is required: this session has verify=(NONE|TEMP)"
HANDSHAKE = r"TLS handshake failed|read error from|Connection reset|Broken pipe"
CERTIFICATE = r"TLS is required: certificate \(verify=(OK|FAIL)\) is for \S"
NO_ANSWER = r"TLS policy lookup failed|Operating system error|lookup \(\S*\): deferred"
# A match at level fingerprint.
DIGEST = ":".join(["AB"] * 32)

PARTNERS = ("clear", "refused-454", "alert", "self-signed", "good", "wrong-name", "expired", "clear-then-good")
_OPPORTUNISTIC = (CLEAR, CLEAR, HANDSHAKE, TLS, TLS, TLS, TLS, CLEAR)
_VERIFIED = (NO_TLS, NO_TLS, HANDSHAKE, CERTIFICATE, TLS, CERTIFICATE, CERTIFICATE, TLS)
_REFUSED = (NO_ANSWER, NO_ANSWER, f"{NO_ANSWER}|{HANDSHAKE}", *[NO_ANSWER] * 5)
# Level: columns of its row, where LAST stands for the partner's last MX host, and what becomes of mail to each of the
# partners above.
LEVELS: dict[str, tuple[dict[str, str] | None, tuple[str, ...]]] = {
    "no row": (None, _OPPORTUNISTIC),
    "none": ({}, _OPPORTUNISTIC),
    "may": ({}, _OPPORTUNISTIC),
    "encrypt": ({}, (NO_TLS, NO_TLS, HANDSHAKE, TLS, TLS, TLS, TLS, TLS)),
    "verify": ({}, _VERIFIED),
    "secure": ({"match": "LAST"}, _VERIFIED),
    "secure with several names": ({"match": "LAST:mx9.LAST"}, _REFUSED),
    "secure with the next hop": ({}, _REFUSED),
    "dane": ({}, _REFUSED),
    "dane-only": ({}, _REFUSED),
    "fingerprint": ({"match": DIGEST}, _REFUSED),
}


def row_of(level: str, last: str) -> dict[str, str] | None:
    """The columns outbound and, at some levels, match of a row at that level; None: there is no row."""
    columns = LEVELS[level][0]
    if columns is None:
        return None
    return {"outbound": level.split()[0], **{name: value.replace("LAST", last) for name, value in columns.items()}}


def expected(level: str, kind: str) -> str:
    """The pattern of what becomes of mail to a partner of that kind."""
    return LEVELS[level][1][PARTNERS.index(kind)]
