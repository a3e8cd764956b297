"""Clients for the two protocols of policyd, for tests that speak to it directly.

Addresses are written as forcetls-policyd takes them: unix:PATH or inet:HOST:PORT.
"""

import socket

TIMEOUT_S = 10
LENGTH_DIGITS_MAX = 10


class ProtocolError(AssertionError):
    """The server's answer is not what the protocol allows; the text shows it."""


def connect(address: str, timeout_s: float = TIMEOUT_S) -> socket.socket:
    """Connects to unix:PATH or inet:HOST:PORT."""
    kind, rest = address.split(":", 1)
    if kind == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        try:
            connection.connect(rest)
        except OSError:
            connection.close()
            raise
        return connection
    host, port = rest.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout_s)


class _Client:
    def __init__(self, address: str, timeout_s: float = TIMEOUT_S) -> None:
        self.connection = connect(address, timeout_s)
        self._unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up."""
        self.connection.close()

    def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self.connection.sendall(data)

    def is_closed_by_server(self) -> bool:
        """Waits for the server to hang up (True) or to send something (False)."""
        try:
            return not self._unread and self.connection.recv(1, socket.MSG_PEEK) == b""
        except ConnectionResetError:
            return True

    def _more(self) -> None:
        received = self.connection.recv(65536)
        if not received:
            raise ProtocolError(f"the server hung up; unfinished answer: {self._unread!r}")
        self._unread += received


def netstring(data: bytes) -> bytes:
    """N:data,"""
    return b"%d:%s," % (len(data), data)


class SocketmapClient(_Client):
    """A socketmap client, as Postfix's socketmap_table(5)."""

    def lookup(self, map_name: str, key: str | bytes) -> str:
        """One lookup; the whole answer, e.g. "OK encrypt" or "NOTFOUND "."""
        raw = key if isinstance(key, bytes) else key.encode("utf-8")
        self.send(netstring(map_name.encode("ascii") + b" " + raw))
        return self.read_answer()

    def read_answer(self) -> str:
        """Reads one netstring."""
        while b":" not in self._unread:
            if len(self._unread) > LENGTH_DIGITS_MAX:
                raise ProtocolError(f"no netstring: {self._unread!r}")
            self._more()
        length_text, rest = self._unread.split(b":", 1)
        if not length_text.isdigit():
            raise ProtocolError(f"no netstring: {self._unread!r}")
        length = int(length_text)
        while len(self._unread) < len(length_text) + 1 + length + 1:
            self._more()
        rest = self._unread[len(length_text) + 1:]
        if rest[length:length + 1] != b",":
            raise ProtocolError(f"netstring without comma: {self._unread!r}")
        self._unread = rest[length + 1:]
        return rest[:length].decode("utf-8", "replace")


class PolicyClient(_Client):
    """A policy delegation client, as Postfix's smtpd (SMTPD_POLICY_README)."""

    def ask(self, **attributes: str) -> str:
        """One request; request=smtpd_access_policy and protocol_state=RCPT unless given. Returns the action."""
        request = {"request": "smtpd_access_policy", "protocol_state": "RCPT", "protocol_name": "ESMTP", **attributes}
        self.send("".join(f"{name}={value}\n" for name, value in request.items()).encode("utf-8") + b"\n")
        return self.read_action()

    def read_action(self) -> str:
        """Reads one answer."""
        while b"\n\n" not in self._unread:
            self._more()
        answer, self._unread = self._unread.split(b"\n\n", 1)
        if not answer.startswith(b"action="):
            raise ProtocolError(f"no action in the answer: {answer!r}")
        return answer[len(b"action="):].decode("utf-8", "replace")
