"""A milter that lets everything pass, and keeps what it was given: what a site may have on another host."""

import socket
import struct
import threading

OPTIONS, CONTINUE, QUIT, ABORT, MACROS, BODY = b"O", b"c", b"Q", b"A", b"D", b"B"
VERSION = 6
NO_ACTIONS, ALL_STEPS = 0, 0


class MilterServer:
    """Listens on `listener` until close(); one thread per connection."""

    def __init__(self, listener: socket.socket) -> None:
        self.bodies: list[bytes] = []
        self._listener = listener
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        """Packets of a length, a command and its data (sendmail: include/libmilter/mfdef.h)."""
        with connection, connection.makefile("rwb") as stream:
            while size := stream.read(4):
                packet = stream.read(struct.unpack("!I", size)[0])
                command, data = packet[:1], packet[1:]
                if command == QUIT:
                    return
                if command == BODY:
                    self.bodies.append(data)
                if command == OPTIONS:
                    _answer(stream, OPTIONS + struct.pack("!III", VERSION, NO_ACTIONS, ALL_STEPS))
                elif command not in (MACROS, ABORT):
                    _answer(stream, CONTINUE)


def _answer(stream, packet: bytes) -> None:
    stream.write(struct.pack("!I", len(packet)) + packet)
    stream.flush()
