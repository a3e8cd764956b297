"""What really went over the link between mail host and partners: a tcpdump capture that can be searched.

TCP streams are put together again by sequence number, so a token is found also where it was cut in two packets.
"""

import itertools
import re
import signal
import socket
import struct
import subprocess
from pathlib import Path

from .network import DNS_ADDRESS, MAIL_HOST_INTERFACE
from .waiting import wait_for

DISCARD_PORT = 9
SEEN_DEADLINE_S = 30
PCAP_HEADER = struct.Struct("<IHHiIII")
RECORD_HEADER = struct.Struct("<IIII")
ETHERNET_HEADER = 14
PROTOCOL_TCP = 6


class CaptureError(AssertionError):
    """The capture itself cannot be relied on."""


class Capture:
    """A running capture of the mail host's end of the link."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "wire.pcap"
        self._errors = directory / "tcpdump.err"
        self._sentinels = itertools.count(1)
        self._offset = PCAP_HEADER.size
        self._streams: dict[tuple, dict[int, bytes]] = {}
        with self._errors.open("wb") as errors:
            self._tcpdump = subprocess.Popen(
                ["tcpdump", "-Z", "root", "-i", MAIL_HOST_INTERFACE, "-n", "-s", "0", "-B", "65536", "-U",
                 "--immediate-mode", "-w", str(self.file)], stderr=errors)
        self._wait_for_own_sentinel()

    def close(self) -> None:
        """Ends the capture; complains if the kernel dropped packets."""
        self.flush()
        self._tcpdump.send_signal(signal.SIGINT)
        self._tcpdump.wait()
        text = self._errors.read_text("utf-8", "replace")
        if "\n0 packets dropped by kernel" not in text:
            raise CaptureError(f"the capture is not complete:\n{text}")

    def flush(self) -> None:
        """Returns when every packet sent before the call is in the file."""
        if self._tcpdump.poll() is not None:
            raise CaptureError("tcpdump has ended: " + self._errors.read_text("utf-8", "replace"))
        self._wait_for_own_sentinel()

    def contains(self, token: bytes) -> bool:
        """True if the token went over the link in clear, whole or cut in pieces, in whatever direction."""
        self.flush()
        self._read_new_packets()
        return any(token in joined(segments) for segments in self._streams.values())

    def found(self, pattern: bytes) -> set[bytes]:
        """All that matches the regular expression and went over the link in clear, in one pass."""
        self.flush()
        self._read_new_packets()
        return {match for segments in self._streams.values() for match in re.findall(pattern, joined(segments))}

    def assert_never_in_clear(self, token: bytes) -> None:
        """Fails if the token went over the link in clear."""
        if self.contains(token):
            raise AssertionError(f"{token!r} was captured in clear on the wire ({self.file})")

    def _wait_for_own_sentinel(self) -> None:
        """Sends numbered packets until one is seen in the file: what was sent before it is there, too."""
        sentinel = b"lab-sentinel-%d-" % next(self._sentinels)
        start = self.file.stat().st_size if self.file.exists() else 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

            def seen() -> bool:
                sender.sendto(sentinel, (DNS_ADDRESS, DISCARD_PORT))
                return self.file.exists() and sentinel in self._read_from(start)

            wait_for(seen, SEEN_DEADLINE_S, "tcpdump to capture a packet",
                     lambda: self._errors.read_text("utf-8", "replace"))

    def _read_from(self, offset: int) -> bytes:
        with self.file.open("rb") as file:
            file.seek(offset)
            return file.read()

    def _read_new_packets(self) -> None:
        data = self._read_from(self._offset)
        position = 0
        while position + RECORD_HEADER.size <= len(data):
            _, _, length, original = RECORD_HEADER.unpack_from(data, position)
            end = position + RECORD_HEADER.size + length
            if end > len(data):
                break
            if length != original:
                raise CaptureError("a packet was captured only in part")
            self._take(data[position + RECORD_HEADER.size:end])
            position = end
        self._offset += position

    def _take(self, frame: bytes) -> None:
        ether_type = struct.unpack_from("!H", frame, 12)[0]
        packet = frame[ETHERNET_HEADER:]
        if ether_type == 0x0800 and packet[9] == PROTOCOL_TCP:
            header, total = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 2)[0]
            addresses, segment = packet[12:20], packet[header:total or len(packet)]
        elif ether_type == 0x86DD and packet[6] == PROTOCOL_TCP:
            addresses, segment = packet[8:40], packet[40:]
        else:
            return
        ports, sequence = segment[:4], struct.unpack_from("!I", segment, 4)[0]
        payload = segment[(segment[12] >> 4) * 4:]
        is_syn = segment[13] & 2
        if is_syn:
            self._retire(addresses + ports)
        elif payload:
            segments = self._streams.setdefault((addresses + ports, 0), {})
            segments[sequence] = max(payload, segments.get(sequence, b""), key=len)

    def _retire(self, flow: bytes) -> None:
        """A new connection with the addresses and ports of an old one: keep the old one's bytes apart."""
        if (flow, 0) in self._streams:
            self._streams[(flow, len(self._streams))] = self._streams.pop((flow, 0))


def joined(segments: dict[int, bytes]) -> bytes:
    """The bytes of one direction of a connection in order; retransmitted parts once."""
    first = next(iter(segments))
    ordered = sorted((sequence - first + 2**31) % 2**32 for sequence in segments)
    stream, reached = bytearray(), 0
    for place in ordered:
        payload = segments[(place + first - 2**31) % 2**32]
        stream += payload[max(0, reached - place):]
        reached = max(reached, place + len(payload))
    return bytes(stream)
