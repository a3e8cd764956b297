"""Test messages: each has a body token that occurs nowhere else, so that its body can be searched for."""

import itertools
from dataclasses import dataclass
from email.utils import formatdate

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Message:
    """A message to send. The token is in the body only, never in a header: bounces may quote headers."""

    message_id: str
    token: bytes
    data: bytes


def compose(*, headers: dict[str, str] | None = None, subject: str = "a test", lines: str = "",
            text: str = "Hello,\n") -> Message:
    """A new message; `headers` are added to the usual ones, then `lines` as they are. The body begins with `text`."""
    number = next(_numbers)
    message_id = f"m{number:06d}@lab.example"
    token = b"body-%06d-secret" % number
    usual = {"Message-ID": f"<{message_id}>", "Date": formatdate(), "Subject": subject, **(headers or {})}
    head = "".join(f"{name}: {value}\n" for name, value in usual.items()) + lines
    return Message(message_id, token, f"{head}\n{text}".encode("utf-8") + token + b"\nBye.\n")
