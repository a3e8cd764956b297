"""Level x partner matrices: a table in words, all of its messages sent at once, each outcome as such a word.

The words are those of the project's notes on Postfix: a TLS version = delivered with it; CLEAR = delivered in clear;
NO = TLS not offered; R4, R5 = STARTTLS refused with 4xx (waits), 5xx (bounces); HS = handshake failure;
NV = certificate not verified; ND = no DNSSEC, NT = no TLSA records (both at dane-only); LC = connection lost; a word
with "*" is what the same cause gives with another status.
"""

import re
from dataclasses import dataclass

from lab.catalogue import Partner
from lab.lab import Lab
from lab.maillog import Outcome
from lab.smtp_client import Submission

DEADLINE_S = 120
_CAUSES = (
    ("NO", "deferred", r"TLS is required, but was not offered"),
    ("R4", "deferred", r"TLS is required, but host \S+ refused to start TLS: 4"),
    ("R5", "bounced", r"TLS is required, but host \S+ refused to start TLS: 5"),
    ("HS", "deferred", r"Cannot start TLS: handshake failure"),
    ("NV", "deferred", r"Server certificate not (?:verified|trusted)"),
    ("ND", "deferred", r"non DNSSEC destination"),
    ("NT", "deferred", r"no TLSA records found"),
    ("LC", "deferred", r"lost connection with \S+ while receiving the STARTTLS response"),
    ("CF", "deferred", r"client TLS configuration problem"),
)


@dataclass
class Case:
    """One cell: a message to one partner at one level."""

    partner: Partner
    level: str
    submission: Submission | None = None
    outcome: Outcome | None = None

    def word(self) -> str:
        """What became of it, as a word of the table."""
        assert self.outcome is not None and self.submission is not None, "the matrix was not sent"
        if self.outcome.status == "sent":
            received = self.partner.received(self.submission.token)
            assert len(received) == 1, f"{self.outcome}, but the partner took {len(received)} copies"
            return (received[0].tls_version or "CLEAR").removeprefix("TLSv")
        return cause_of(self.outcome.status, self.outcome.text) or str(self.outcome)


def cause_of(status: str, text: str) -> str:
    """The word for why a message waits or bounced; "" for none that is known."""
    for word, usual, pattern in _CAUSES:
        if re.search(pattern, text):
            return word if status == usual else word + "*"
    return ""


def read_table(text: str) -> dict[tuple[str, str], str]:
    """(partner kind, level) -> word, from lines with "|" between columns; the first line names the levels."""
    rows = [[field.strip() for field in line.split("|")] for line in text.strip().splitlines()]
    levels = rows[0][1:]
    return {(row[0], level): word for row in rows[1:] for level, word in zip(levels, row[1:], strict=True)}


def make_cases(lab: Lab, table: dict[tuple[str, str], str]) -> dict[tuple[str, str], Case]:
    """A new partner for every cell."""
    return {key: Case(lab.partners.add(key[0]), key[1]) for key in table}


def send_all(lab: Lab, cases: dict[tuple[str, str], Case]) -> None:
    """Sends one message per case, then waits for the first outcome of each."""
    with lab.client() as client:
        for case in cases.values():
            case.submission = client.send("alice@ours.example", [case.partner.address()])
        client.quit()
    for case in cases.values():
        case.outcome = lab.outcome(case.submission, deadline_s=DEADLINE_S)
