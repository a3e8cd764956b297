"""A scripted SMTP (or LMTP) server that does TLS rightly or wrongly, and remembers what it was told in clear.

A PartnerServer listens on one address; what it does is its `behaviour`, which may be exchanged at any time and holds
for connections that begin afterwards. One thread per connection. See catalogue.py for the known kinds of partner.
"""

import enum
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Mapping

SESSION_TIMEOUT_S = 60
GATE_TIMEOUT_S = 60
CLIENT_HELLO_MAX = 16384
ALERT_HANDSHAKE_FAILURE = bytes.fromhex("15030100020228")


class StartTls(enum.Enum):
    """What the server does about STARTTLS."""

    GOOD = "offered, and the handshake is left to OpenSSL"
    ABSENT = "not offered, and refused as unknown"
    REFUSED = "offered, and answered with Behaviour.starttls_refusal"
    GARBAGE = "220, then bytes that are no TLS"
    ALERT = "220, then a fatal alert"
    CLOSE = "220, then the connection is closed when the client says hello"
    HANG = "220, then silence"
    DROP = "the connection is closed instead of the 220"


@dataclass(frozen=True)
class Behaviour:
    """How a server behaves. `replies` and `delays_s` are keyed by SMTP verb, plus BANNER and EOD (end of data)."""

    starttls: StartTls = StartTls.ABSENT
    tls: ssl.SSLContext | None = None
    starttls_refusal: str = "454 4.7.0 TLS not available due to temporary reason"
    lmtp: bool = False
    replies: Mapping[str, str] = field(default_factory=dict)
    delays_s: Mapping[str, float] = field(default_factory=dict)
    gates: Mapping[str, threading.Event] = field(default_factory=dict)


@dataclass(frozen=True)
class ReceivedMessage:
    """One message that a server took: the envelope, all bytes of it, and how it came."""

    server: str
    sender: str
    recipients: tuple[str, ...]
    data: bytes
    tls_version: str | None
    cipher: str | None
    tls_resumed: bool

    @property
    def in_clear(self) -> bool:
        """True when it came without TLS."""
        return self.tls_version is None


class PartnerServer:
    """One server on one address. `sessions`, `messages` and `clear_bytes()` may be read at any time."""

    def __init__(self, hostname: str, listener: socket.socket, behaviour: Behaviour) -> None:
        self.hostname = hostname
        self.behaviour = behaviour
        self.sessions: list["Session"] = []
        self.messages: list[ReceivedMessage] = []
        self.closing = threading.Event()
        self._listener = listener
        threading.Thread(target=self._accept, name=f"accept {hostname}", daemon=True).start()

    @property
    def address(self) -> str:
        """The address it listens on (a path for a unix socket)."""
        name = self._listener.getsockname()
        return name if isinstance(name, str) else name[0]

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return self._listener.getsockname()[1]

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return len(self.sessions)

    @property
    def open_connections(self) -> int:
        """How many connections there are now."""
        return sum(session.open for session in list(self.sessions))

    def clear_bytes(self) -> bytes:
        """Every byte that any client sent outside TLS."""
        return b"\n".join(bytes(session.clear_bytes) for session in list(self.sessions))

    def close(self) -> None:
        """Stops listening and ends the open sessions: from now on connections are refused."""
        self.closing.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for session in list(self.sessions):
            session.abort()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, peer = self._listener.accept()
            except OSError:
                return
            session = Session(self, connection, peer[0] if peer else "")
            self.sessions.append(session)
            threading.Thread(target=session.run, name=f"session {self.hostname}", daemon=True).start()


class _EndOfSession(Exception):
    """The session is over, by the client's or the script's wish."""


class Session:
    """One connection. `commands` holds (TLS version or None, command line) in order."""

    def __init__(self, server: PartnerServer, connection: socket.socket, client_address: str) -> None:
        self.client_address = client_address
        self.clear_bytes = bytearray()
        self.commands: list[tuple[str | None, str]] = []
        self.tls_version: str | None = None
        self.cipher: str | None = None
        self.tls_resumed = False
        self.handshake_error: str | None = None
        self.open = True
        self._server = server
        self._behaviour = server.behaviour
        self._connection = connection
        self._unread = b""
        self._forget_envelope()

    def abort(self) -> None:
        """Ends the connection from outside."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def run(self) -> None:
        """The whole conversation."""
        self._connection.settimeout(SESSION_TIMEOUT_S)
        try:
            self._reply("BANNER", f"220 {self._server.hostname} {'LMTP' if self._behaviour.lmtp else 'ESMTP'} lab")
            while True:
                self._command(self._read_line().decode("utf-8", "replace"))
        except (_EndOfSession, OSError, ssl.SSLError):
            pass
        finally:
            self._connection.close()
            self.open = False

    def _command(self, line: str) -> None:
        self.commands.append((self.tls_version, line))
        verb = line.split(" ", 1)[0].upper()
        handlers = {"EHLO": self._ehlo, "LHLO": self._ehlo, "STARTTLS": self._starttls, "DATA": self._data,
                    "QUIT": self._quit}
        if verb in handlers:
            handlers[verb](line)
        elif verb == "MAIL":
            self._forget_envelope()
            self._sender = _path_of(line)
            self._reply(verb, "250 2.1.0 Ok")
        elif verb == "RCPT":
            if self._reply(verb, "250 2.1.5 Ok").startswith("2"):
                self._recipients.append(_path_of(line))
        elif verb in ("RSET", "NOOP", "HELO"):
            self._forget_envelope()
            self._reply(verb, "250 2.0.0 Ok")
        else:
            self._reply(verb, "502 5.5.2 Error: command not recognized")

    def _ehlo(self, line: str) -> None:
        del line
        offered = ["PIPELINING", "SIZE 10240000", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "DSN"]
        if self._behaviour.starttls is not StartTls.ABSENT and self.tls_version is None:
            offered.insert(0, "STARTTLS")
        lines = [self._server.hostname, *offered]
        self._forget_envelope()
        self._reply("EHLO", "\r\n".join([f"250-{text}" for text in lines[:-1]] + [f"250 {lines[-1]}"]))

    def _starttls(self, line: str) -> None:
        del line
        kind = self._behaviour.starttls
        if kind is StartTls.ABSENT:
            self._reply("STARTTLS", "502 5.5.1 Error: command not implemented")
        elif kind is StartTls.REFUSED:
            self._reply("STARTTLS", self._behaviour.starttls_refusal)
        elif kind is StartTls.DROP:
            raise _EndOfSession
        else:
            self._reply("STARTTLS", "220 2.0.0 Ready to start TLS")
            self._unread = b""  # RFC 3207 section 4.2: what came before the handshake is forgotten.
            self._handshake(kind)

    def _handshake(self, kind: StartTls) -> None:
        if kind is not StartTls.GOOD:
            self._break_handshake(kind)
        assert self._behaviour.tls is not None, "a behaviour with good STARTTLS needs a TLS context"
        try:
            self._connection = self._behaviour.tls.wrap_socket(self._connection, server_side=True)
        except (OSError, ssl.SSLError) as error:
            self.handshake_error = str(error)
            raise _EndOfSession from error
        self.cipher = self._connection.cipher()[0]
        self.tls_resumed = bool(self._connection.session_reused)
        self.tls_version = self._connection.version()

    def _break_handshake(self, kind: StartTls) -> None:
        if kind is StartTls.GARBAGE:
            self._connection.sendall(b"this is no TLS record\r\n" * 3)
        hello = self._connection.recv(CLIENT_HELLO_MAX)
        self.clear_bytes += hello
        if kind is StartTls.ALERT:
            self._connection.sendall(ALERT_HANDSHAKE_FAILURE)
        if kind is not StartTls.CLOSE:
            while hello:  # Until the client gives up: what it still says is in clear.
                hello = self._connection.recv(CLIENT_HELLO_MAX)
                self.clear_bytes += hello
        raise _EndOfSession

    def _data(self, line: str) -> None:
        del line
        if not self._recipients:
            self._reply("DATA", "503 5.5.1 Error: need RCPT command")
            return
        if not self._reply("DATA", "354 End data with <CR><LF>.<CR><LF>").startswith("3"):
            return
        lines = []
        while (text := self._read_line()) != b".":
            lines.append(text[1:] if text.startswith(b".") else text)
        message = ReceivedMessage(self._server.hostname, self._sender, tuple(self._recipients),
                                  b"\n".join(lines) + b"\n", self.tls_version, self.cipher, self.tls_resumed)
        self._wait("EOD")
        if self._behaviour.replies.get("EOD", "2").startswith("2"):
            self._server.messages.append(message)
        for _ in self._recipients if self._behaviour.lmtp else [None]:
            self._send(self._behaviour.replies.get("EOD", "250 2.0.0 Ok: taken"))
        self._forget_envelope()

    def _quit(self, line: str) -> None:
        del line
        self._reply("QUIT", "221 2.0.0 Bye")
        raise _EndOfSession

    def _reply(self, verb: str, usual: str) -> str:
        self._wait(verb)
        reply = self._behaviour.replies.get(verb, usual)
        self._send(reply)
        return reply

    def _wait(self, verb: str) -> None:
        if verb in self._behaviour.gates:
            self._behaviour.gates[verb].wait(GATE_TIMEOUT_S)
        if verb in self._behaviour.delays_s:
            self._server.closing.wait(self._behaviour.delays_s[verb])

    def _send(self, reply: str) -> None:
        self._connection.sendall(reply.encode("utf-8") + b"\r\n")

    def _read_line(self) -> bytes:
        while b"\n" not in self._unread:
            received = self._connection.recv(65536)
            if not received:
                raise _EndOfSession
            if self.tls_version is None:
                self.clear_bytes += received
            self._unread += received
        line, self._unread = self._unread.split(b"\n", 1)
        return line.rstrip(b"\r")

    def _forget_envelope(self) -> None:
        self._sender = ""
        self._recipients: list[str] = []


def _path_of(command: str) -> str:
    """The address in MAIL FROM:<...> or RCPT TO:<...>."""
    return command.split("<", 1)[-1].split(">", 1)[0]
