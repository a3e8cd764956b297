"""The lab's DNS server: a zone that tests fill while it runs. Unknown names do not exist (NXDOMAIN).

Names are compared without case; internationalised names are stored as A-labels, which is what Postfix asks for.
"""

import threading

from dnslib import AAAA, CNAME, MX, QTYPE, RCODE, RR, TLSA, TXT, A, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer

from .network import Network

TTL_S = 1
MAX_CNAMES = 8


def _key(name: object) -> str:
    return str(name).rstrip(".").lower()


class Zone(BaseResolver):
    """The records; safe to change from any thread while queries are answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[tuple[str, str], list[object]] = {}
        self._failing: set[str] = set()
        self._secure: set[str] = set()
        self.queries: list[tuple[str, str]] = []

    def add(self, name: str, record_type: str, record: object) -> None:
        """Adds one record; `record` is a dnslib record of that type."""
        with self._lock:
            self._records.setdefault((_key(name), record_type), []).append(record)

    def remove(self, name: str) -> None:
        """The name no longer exists: NXDOMAIN."""
        with self._lock:
            self._failing.discard(_key(name))
            for entry in [entry for entry in self._records if entry[0] == _key(name)]:
                del self._records[entry]

    def fail(self, name: str, failing: bool = True) -> None:
        """Queries for the name answer SERVFAIL (until called with failing=False)."""
        with self._lock:
            (self._failing.add if failing else self._failing.discard)(_key(name))

    def mark_secure(self, name: str) -> None:
        """Answers for the name carry the AD bit, as from a validating resolver (nothing is really signed)."""
        with self._lock:
            self._secure.add(_key(name))

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        """Answers one query (called by dnslib)."""
        reply = request.reply()
        name, record_type = _key(request.q.qname), QTYPE[request.q.qtype]
        with self._lock:
            self.queries.append((name, record_type))
            if name in self._failing:
                reply.header.rcode = RCODE.SERVFAIL
                return reply
            reply.header.ad = int(name in self._secure)
            self._answer(reply, name, record_type)
        return reply

    def _answer(self, reply: DNSRecord, name: str, record_type: str) -> None:
        for _ in range(MAX_CNAMES):
            for record in self._records.get((name, record_type), []):
                reply.add_answer(RR(name, getattr(QTYPE, record_type), ttl=TTL_S, rdata=record))
            alias = self._records.get((name, "CNAME"))
            if record_type == "CNAME" or not alias:
                break
            reply.add_answer(RR(name, QTYPE.CNAME, ttl=TTL_S, rdata=alias[0]))
            name = _key(alias[0].label)
        if not reply.rr and not any(known == name for known, _ in self._records):
            reply.header.rcode = RCODE.NXDOMAIN


class DnsServer:
    """Serves a Zone on UDP and TCP port 53 of an address on the partner side."""

    def __init__(self, network: Network, address: str) -> None:
        self.zone = Zone()
        silent = DNSLogger("-request,-reply,-truncated,-error,-recv,-send,-data")
        with network.partner_side():
            self._servers = [DNSServer(self.zone, address=address, port=53, tcp=tcp, logger=silent)
                             for tcp in (False, True)]
        for server in self._servers:
            server.start_thread()

    def close(self) -> None:
        """Stops answering."""
        for server in self._servers:
            server.stop()
            server.server.server_close()

    def add_a(self, name: str, address: str) -> None:
        """An address record: A, or AAAA for an IPv6 address."""
        if ":" in address:
            self.zone.add(name, "AAAA", AAAA(address))
        else:
            self.zone.add(name, "A", A(address))

    def add_mx(self, name: str, host: str, preference: int = 10) -> None:
        """An MX record."""
        self.zone.add(name, "MX", MX(host, preference))

    def add_cname(self, name: str, target: str) -> None:
        """An alias."""
        self.zone.add(name, "CNAME", CNAME(target))

    def add_txt(self, name: str, text: str) -> None:
        """A TXT record."""
        self.zone.add(name, "TXT", TXT(text))

    def add_tlsa(self, name: str, usage: int, selector: int, matching: int, data: bytes) -> None:
        """A TLSA record; `name` is the whole _25._tcp.HOST."""
        self.zone.add(name, "TLSA", TLSA(usage, selector, matching, data))

    def remove(self, name: str) -> None:
        """The name no longer exists: NXDOMAIN."""
        self.zone.remove(name)

    def fail(self, name: str, failing: bool = True) -> None:
        """SERVFAIL for the name, or no longer."""
        self.zone.fail(name, failing)

    def mark_secure(self, name: str) -> None:
        """Answers for the name carry the AD bit."""
        self.zone.mark_secure(name)
