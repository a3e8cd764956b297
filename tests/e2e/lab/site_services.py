"""Services that a site has of its own beside its MTA: a resolver of TLS policies, a policy service, a milter."""

import socket
import struct
import threading
from typing import Callable

OPTIONS, CONTINUE, QUIT, ABORT, MACROS, BODY = b"O", b"c", b"Q", b"A", b"D", b"B"
MILTER_VERSION = 6
NO_ACTIONS, ALL_STEPS = 0, 0


class _Service:
    """A server, on loopback unless it is given a listener; one thread per connection, until the client hangs up."""

    def __init__(self, listener: socket.socket | None = None) -> None:
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """As main.cf wants it."""
        return f"inet:127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def sendmail_address(self) -> str:
        """As sendmail.mc wants it."""
        return f"inet:{self._listener.getsockname()[1]}@127.0.0.1"

    def close(self) -> None:
        """Stops listening: from now on connections are refused."""
        self._listener.shutdown(socket.SHUT_RDWR)  # Which also ends accept().
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:
            while self._answer(stream):
                stream.flush()

    def _answer(self, stream) -> bool:
        raise NotImplementedError


class TlsPolicyResolver(_Service):
    """A socketmap server with the answers that a resolver of MTA-STS gives; any map name."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.keys: list[str] = []
        super().__init__()

    def _answer(self, stream) -> bool:
        length = b""
        while not length.endswith(b":"):
            byte = stream.read(1)
            if not byte:
                return False
            length += byte
        key = stream.read(int(length[:-1]) + 1)[:-1].decode("utf-8").split(" ", 1)[1]
        self.keys.append(key)
        answer = self._answer_for(key).encode("utf-8")
        stream.write(b"%d:%s," % (len(answer), answer))
        return True

    def _answer_for(self, key: str) -> str:
        return f"OK {self.answers[key]}" if key in self.answers else "NOTFOUND "


class FaultyMap(TlsPolicyResolver):
    """A socketmap server that answers everything with `answer`, status word and all."""

    def __init__(self) -> None:
        self.answer = "NOTFOUND "
        super().__init__({})

    def _answer_for(self, key: str) -> str:
        return self.answer


class BrokenMap(_Service):
    """A policyd that has gone wrong: answers a request with the bytes of `reply`, and hangs up."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        super().__init__()

    def _answer(self, stream) -> bool:
        stream.read1(4096)
        stream.write(self._reply)
        return False


class PolicyService(_Service):
    """A policy service; `decide` gets the attributes of a request and gives the action."""

    def __init__(self, decide: Callable[[dict[str, str]], str]) -> None:
        self._decide = decide
        super().__init__()

    def _answer(self, stream) -> bool:
        attributes = {}
        while (line := stream.readline()) not in (b"", b"\n"):
            name, value = line.decode("utf-8").rstrip("\n").split("=", 1)
            attributes[name] = value
        if not attributes:
            return False
        stream.write(f"action={self._decide(attributes)}\n\n".encode("utf-8"))
        return True


class Milter(_Service):
    """A milter that lets everything pass, and keeps the texts that it was given."""

    def __init__(self, listener: socket.socket) -> None:
        self.bodies: list[bytes] = []
        super().__init__(listener)

    def _answer(self, stream) -> bool:
        """Packets of a length, a command and its data (sendmail: include/libmilter/mfdef.h)."""
        size = stream.read(4)
        if not size:
            return False
        packet = stream.read(struct.unpack("!I", size)[0])
        command, data = packet[:1], packet[1:]
        if command == BODY:
            self.bodies.append(data)
        if command == OPTIONS:
            _write_packet(stream, OPTIONS + struct.pack("!III", MILTER_VERSION, NO_ACTIONS, ALL_STEPS))
        elif command not in (MACROS, ABORT, QUIT):
            _write_packet(stream, CONTINUE)
        return command != QUIT


def _write_packet(stream, packet: bytes) -> None:
    stream.write(struct.pack("!I", len(packet)) + packet)
