"""The kinds of partner that the lab knows, by name: servers, certificates and DNS records, set up in one call.

Names of single servers: see _SINGLE. Pairs of MX hosts are composed: "clear-then-good" has a clear-only first MX and a
good second one; "dead" is an address where nobody listens. The rest is in _SPECIAL.
"""

import dataclasses
import hashlib
import itertools
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

from .dns import DnsServer
from .network import Network
from .partner import Behaviour, PartnerServer, ReceivedMessage, Session, StartTls
from .pki import Certificate, Pki

SMTP_PORT = 25
DEAD_NETWORK = "10.91.255"


@dataclass
class Partner:
    """A domain and the servers that take its mail, best MX first (a dead MX has no server)."""

    kind: str
    domain: str
    servers: list[PartnerServer] = field(default_factory=list)
    certificate: Certificate | None = None

    def address(self, local_part: str = "user") -> str:
        """An e-mail address at the partner."""
        return f"{local_part}@{self.domain}"

    @property
    def server(self) -> PartnerServer:
        """The best MX."""
        return self.servers[0]

    @property
    def messages(self) -> list[ReceivedMessage]:
        """All messages taken, by any of the servers."""
        return [message for server in self.servers for message in server.messages]

    @property
    def sessions(self) -> list[Session]:
        """All connections so far, to any of the servers."""
        return [session for server in self.servers for session in server.sessions]

    def received(self, token: bytes) -> list[ReceivedMessage]:
        """The messages that contain the token."""
        return [message for message in self.messages if token in message.data]

    def saw_in_clear(self, token: bytes) -> bool:
        """True if any client sent the token outside TLS."""
        return any(token in server.clear_bytes() for server in self.servers)


def _context(certificate: Certificate | None, ciphers: str | None = None,
             minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
             maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if ciphers:
        context.set_ciphers(ciphers)
    context.minimum_version, context.maximum_version = minimum, maximum
    if certificate:
        context.load_cert_chain(certificate.cert_file, certificate.key_file)
    return context


def _only(version: ssl.TLSVersion) -> dict[str, object]:
    old = version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    return {"minimum": version, "maximum": version, "ciphers": "ALL:@SECLEVEL=0" if old else None}


# kind -> how its certificate is made from the MX host name (a Pki method), and what is special about its TLS.
_TLS_KINDS: dict[str, tuple[Callable[[Pki, str], Certificate] | None, dict[str, object]]] = {
    "good": (Pki.good, {}),
    "expired": (Pki.expired, {}),
    "self-signed": (Pki.self_signed, {}),
    "unknown-ca": (Pki.unknown_ca, {}),
    "wrong-name": (lambda pki, host: pki.good("elsewhere." + host.rsplit(".", 1)[-1]), {}),
    "tls1.0": (Pki.good, _only(ssl.TLSVersion.TLSv1)),
    "tls1.1": (Pki.good, _only(ssl.TLSVersion.TLSv1_1)),
    "tls1.2": (Pki.good, _only(ssl.TLSVersion.TLSv1_2)),
    "tls1.3": (Pki.good, _only(ssl.TLSVersion.TLSv1_3)),
    "anonymous": (None, {"ciphers": "AECDH:@SECLEVEL=0", "maximum": ssl.TLSVersion.TLSv1_2}),
}
_SCRIPTED: dict[str, Behaviour] = {
    "clear": Behaviour(StartTls.ABSENT),
    "refused-454": Behaviour(StartTls.REFUSED),
    "refused-502": Behaviour(StartTls.REFUSED, starttls_refusal="502 5.5.1 Error: command not implemented"),
    "garbage": Behaviour(StartTls.GARBAGE),
    "alert": Behaviour(StartTls.ALERT),
    "close": Behaviour(StartTls.CLOSE),
    "hang": Behaviour(StartTls.HANG),
    "drop": Behaviour(StartTls.DROP),
    "lmtp": Behaviour(StartTls.ABSENT, lmtp=True),
    "greylist": Behaviour(StartTls.ABSENT, replies={"RCPT": "451 4.7.1 Greylisted"}),
}
_SPECIAL = ("outsourced", "domain-certificate", "wildcard", "address-only", "mx-is-cname", "dane", "dane-bad")
_SINGLE = (*_TLS_KINDS, *_SCRIPTED)


def kinds() -> tuple[str, ...]:
    """The names of all partners that are not pairs."""
    return (*_SINGLE, *_SPECIAL)


class Partners:
    """Makes partners, each with a domain and addresses of its own."""

    def __init__(self, network: Network, pki: Pki, dns: DnsServer) -> None:
        self._network, self._pki, self._dns = network, pki, dns
        self._numbers = itertools.count(1)
        self._addresses: Iterator[str] = (f"10.91.{high}.{low}" for high in range(250) for low in range(1, 255))
        self.all: list[Partner] = []
        self.servers: list[PartnerServer] = []

    def add(self, kind: str, domain: str | None = None, *, address: str | None = None, **changes: object) -> Partner:
        """Sets up a partner. Without `domain` a new one is made up; `changes` replace fields of the Behaviour.

        `address` (of the partner side, also IPv6) is for its first MX; otherwise a new one is taken.
        """
        if address:
            self._addresses = itertools.chain([address], self._addresses)
        domain = domain or f"{kind.replace('.', '')}-{next(self._numbers)}.example"
        partner = Partner(kind, domain)
        if kind in _SPECIAL:
            getattr(self, "_add_" + kind.replace("-", "_"))(partner, changes)
        else:
            for number, part in enumerate(kind.split("-then-"), start=1):
                self._add_mx(partner, part, f"mx{number}.{domain}", changes)
        self.all.append(partner)
        return partner

    def behaviour(self, kind: str, hostname: str, **changes: object) -> tuple[Behaviour, Certificate | None]:
        """What a server of that kind does under that name, and its certificate."""
        if kind in _SCRIPTED:
            return dataclasses.replace(_SCRIPTED[kind], **changes), None
        make, tls = _TLS_KINDS[kind]
        certificate = make(self._pki, hostname) if make else None
        return Behaviour(StartTls.GOOD, _context(certificate, **tls), **changes), certificate

    def change(self, partner: Partner, kind: str, mx: int = 0, **changes: object) -> None:
        """From the next connection on, that MX of the partner behaves as the other kind."""
        server = partner.servers[mx]
        server.behaviour, partner.certificate = self.behaviour(kind, server.hostname, **changes)

    def present(self, partner: Partner, certificate: Certificate) -> None:
        """From the next connection on, the partner's first MX presents this certificate."""
        partner.server.behaviour, partner.certificate = Behaviour(StartTls.GOOD, _context(certificate)), certificate

    def serve(self, hostname: str, behaviour: Behaviour, *, address: str | None = None,
              port: int = SMTP_PORT) -> PartnerServer:
        """A server without a domain (a relay, a content filter): its host name gets an address record."""
        address = address or next(self._addresses)
        self._dns.add_a(hostname, address)
        return self._served(PartnerServer(hostname, self._network.listen(address, port), behaviour))

    def serve_unix(self, path: Path, hostname: str, behaviour: Behaviour) -> PartnerServer:
        """A server on a unix socket that every user may open (LMTP beside the mail host)."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(16)
        return self._served(PartnerServer(hostname, listener, behaviour))

    def saw_in_clear(self, token: bytes) -> list[str]:
        """The servers (all there have been, not only partners') that got the token outside TLS."""
        return [server.hostname for server in self.servers if token in server.clear_bytes()]

    def close(self) -> None:
        """Closes all servers."""
        for server in self.servers:
            server.close()

    def _served(self, server: PartnerServer) -> PartnerServer:
        self.servers.append(server)
        return server

    def _add_mx(self, partner: Partner, kind: str, hostname: str, changes: dict[str, object]) -> None:
        preference = 10 * (1 + len(partner.servers)) if kind != "dead" else 5
        self._dns.add_mx(partner.domain, hostname, preference)
        if kind == "dead":
            self._dns.add_a(hostname, f"{DEAD_NETWORK}.1")
            return
        behaviour, certificate = self.behaviour(kind, hostname, **changes)
        partner.servers.append(self.serve(hostname, behaviour))
        partner.certificate = partner.certificate or certificate

    def _serve_with(self, partner: Partner, hostname: str, names: list[str], changes: dict[str, object]) -> None:
        partner.certificate = self._pki.good(*names)
        behaviour = Behaviour(StartTls.GOOD, _context(partner.certificate), **changes)
        partner.servers.append(self.serve(hostname, behaviour))

    def _add_outsourced(self, partner: Partner, changes: dict[str, object]) -> None:
        """The MX belongs to another provider, and its certificate too."""
        hostname = f"mx.hoster-{partner.domain}"
        self._dns.add_mx(partner.domain, hostname)
        self._serve_with(partner, hostname, [hostname], changes)

    def _add_domain_certificate(self, partner: Partner, changes: dict[str, object]) -> None:
        """The certificate is for the domain, not for the MX host."""
        self._dns.add_mx(partner.domain, f"mx1.{partner.domain}")
        self._serve_with(partner, f"mx1.{partner.domain}", [partner.domain], changes)

    def _add_wildcard(self, partner: Partner, changes: dict[str, object]) -> None:
        """The certificate is for *.domain."""
        self._dns.add_mx(partner.domain, f"mx1.{partner.domain}")
        self._serve_with(partner, f"mx1.{partner.domain}", [f"*.{partner.domain}"], changes)

    def _add_address_only(self, partner: Partner, changes: dict[str, object]) -> None:
        """No MX: mail goes to the domain's own address; the certificate is for another name."""
        self._serve_with(partner, partner.domain, [f"mx.hoster-{partner.domain}"], changes)

    def _add_mx_is_cname(self, partner: Partner, changes: dict[str, object]) -> None:
        """The MX host is an alias; the certificate is for the real name."""
        self._dns.add_mx(partner.domain, f"mx1.{partner.domain}")
        hostname = f"mx.hoster-{partner.domain}"
        self._dns.add_cname(f"mx1.{partner.domain}", hostname)
        self._serve_with(partner, hostname, [hostname], changes)

    def _add_dane(self, partner: Partner, changes: dict[str, object], usable: bool = True) -> None:
        """TLSA records (3 1 1) for the MX host, answers marked as validated; the certificate is self-signed."""
        hostname = f"mx1.{partner.domain}"
        self._dns.add_mx(partner.domain, hostname)
        behaviour, partner.certificate = self.behaviour("self-signed", hostname, **changes)
        partner.servers.append(self.serve(hostname, behaviour))
        key = bytes.fromhex(partner.certificate.public_key_digest.replace(":", ""))
        tlsa_name = f"_25._tcp.{hostname}"
        self._dns.add_tlsa(tlsa_name, 3, 1, 1, key if usable else hashlib.sha256(b"another key").digest())
        for name in (partner.domain, hostname, tlsa_name):
            self._dns.mark_secure(name)

    def _add_dane_bad(self, partner: Partner, changes: dict[str, object]) -> None:
        """As dane, but the TLSA record is for another key."""
        self._add_dane(partner, changes, usable=False)
