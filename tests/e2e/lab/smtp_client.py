"""A plain SMTP client that says exactly what it is told, and reports every reply."""

import socket
import ssl
from dataclasses import dataclass, field

from .message import Message, compose
from .network import MAIL_HOST, Network
from .pki import Certificate

TIMEOUT_S = 250
REPLY_MAX = 65536


@dataclass(frozen=True)
class Reply:
    """One SMTP reply; `text` is all of it, lines joined by a newline, with the code."""

    code: int
    text: str

    @property
    def accepted(self) -> bool:
        """A 2xx or 3xx reply."""
        return 200 <= self.code < 400

    def __str__(self) -> str:
        return self.text


@dataclass
class Submission:
    """What became of one attempt to hand in a message. queue_id is None unless it was taken."""

    message: Message
    mail: Reply | None = None
    replies: dict[str, Reply] = field(default_factory=dict)
    end_of_data: Reply | None = None
    queue_id: str | None = None

    @property
    def token(self) -> bytes:
        """The body token of the message."""
        return self.message.token


class SmtpClient:
    """One connection to the mail host. From `source` (an address of the partner side) or, without it, from loopback."""

    def __init__(self, address: str = "", port: int = 25, *, network: Network | None = None,
                 source: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self.tls_version: str | None = None
        self._unread = b""
        if source:
            assert network is not None, "a source address needs the lab's network"
            self._connection = network.connect_from(source, address or MAIL_HOST, port, timeout_s)
        else:
            self._connection = socket.create_connection((address or "127.0.0.1", port), timeout_s)
        try:
            self.banner = self.read_reply()
        except OSError:
            self.close()
            raise

    def __enter__(self) -> "SmtpClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up without QUIT."""
        self._connection.close()

    def quit(self) -> None:
        """QUIT, then hangs up."""
        self.command("QUIT")
        self.close()

    def command(self, line: str) -> Reply:
        """Sends one line, as it is, in UTF-8, and reads the reply."""
        self._connection.sendall(line.encode("utf-8") + b"\r\n")
        return self.read_reply()

    def hello(self, name: str = "client.example") -> Reply:
        """EHLO."""
        return self.command(f"EHLO {name}")

    def starttls(self, certificate: Certificate | None = None) -> Reply:
        """STARTTLS and the handshake (any server certificate), with a client certificate or not, then EHLO again."""
        reply = self.command("STARTTLS")
        if not reply.accepted:
            return reply
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(certificate.cert_file, certificate.key_file)
        self._connection = context.wrap_socket(self._connection)
        self.tls_version = self._connection.version()
        return self.hello()

    def send(self, sender: str, recipients: list[str], message: Message | None = None, *,
             mail_parameters: str = "") -> Submission:
        """One transaction. Recipients go out as they are; SMTPUTF8 is asked for where they are not ASCII."""
        submission = Submission(message or compose())
        if not "".join([sender, *recipients]).isascii():
            mail_parameters += " SMTPUTF8"
        submission.mail = self.command(f"MAIL FROM:<{sender}>{mail_parameters}")
        if not submission.mail.accepted:
            return submission
        for recipient in recipients:
            submission.replies[recipient] = self.command(f"RCPT TO:<{recipient}>")
        if any(reply.accepted for reply in submission.replies.values()):
            self._send_data(submission)
        else:
            self.command("RSET")
        return submission

    def _send_data(self, submission: Submission) -> None:
        reply = self.command("DATA")
        if reply.code != 354:
            submission.end_of_data = reply
            return
        lines = submission.message.data.rstrip(b"\n").split(b"\n")
        stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
        self._connection.sendall(stuffed + b".\r\n")
        submission.end_of_data = self.read_reply()
        if submission.end_of_data.accepted and "queued as " in submission.end_of_data.text:
            submission.queue_id = submission.end_of_data.text.split("queued as ", 1)[1].split()[0]

    def read_reply(self) -> Reply:
        """Reads one reply, of one line or several."""
        lines = []
        while not lines or lines[-1][3:4] == "-":
            lines.append(self._read_line())
        return Reply(int(lines[-1][:3]), "\n".join(lines))

    def _read_line(self) -> str:
        while b"\n" not in self._unread:
            received = self._connection.recv(4096)
            if not received or len(self._unread) > REPLY_MAX:
                raise ConnectionError(f"the server hung up; unfinished reply: {self._unread!r}")
            self._unread += received
        line, self._unread = self._unread.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")
