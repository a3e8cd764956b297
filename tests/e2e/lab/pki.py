"""Certificates for the lab: two authorities (one that the mail host trusts, one it does not) and what they issue."""

import itertools
import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER
DAY = timedelta(days=1)


def _postfix_digest(data: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize().hex(":").upper()


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, in files as Postfix and Python's ssl want them."""

    x509: x509.Certificate
    cert_file: Path
    key_file: Path

    @property
    def digest(self) -> str:
        """SHA-256 of the certificate, as `match=` takes it at level fingerprint."""
        return _postfix_digest(self.x509.public_bytes(DER))

    @property
    def public_key_digest(self) -> str:
        """SHA-256 of the public key, as Postfix computes it (smtp_tls_fingerprint_digest=sha256)."""
        spki = self.x509.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return _postfix_digest(spki)


class Authority:
    """A certificate authority. Everything it issues is an EC P-256 certificate: fast to make."""

    def __init__(self, directory: Path, common_name: str) -> None:
        self._directory = directory
        self._slug = common_name.lower().replace(" ", "-")
        self._serial = itertools.count(1)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = datetime.now(timezone.utc)
        builder = _builder(self._name, self._name, self._key.public_key(), now - DAY, now + 3650 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.cert_file = directory / f"{self._slug}.pem"
        self.cert_file.write_bytes(self._certificate.public_bytes(PEM))

    def issue(self, names: list[str], *, common_name: str | None = None, not_before: datetime | None = None,
              not_after: datetime | None = None) -> Certificate:
        """A certificate for these DNS names (the first also as CN unless common_name says otherwise)."""
        now = datetime.now(timezone.utc)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or names[0])])
        builder = _builder(subject, self._name, key.public_key(), not_before or now - DAY, not_after or now + 90 * DAY)
        builder = _with_names(builder, names)
        return self._write(builder.sign(self._key, hashes.SHA256()), key)

    def self_signed(self, names: list[str], common_name: str | None = None) -> Certificate:
        """A certificate that this authority only files, but that is signed by its own key. Its CN may be anything."""
        now = datetime.now(timezone.utc)
        key = ec.generate_private_key(ec.SECP256R1())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are too long
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or names[0], _validate=False)])
        builder = _with_names(_builder(subject, subject, key.public_key(), now - DAY, now + 90 * DAY), names)
        return self._write(builder.sign(key, hashes.SHA256()), key)

    def _write(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Certificate:
        stem = self._directory / f"{self._slug}-{next(self._serial)}"
        cert_file, key_file = stem.with_suffix(".crt"), stem.with_suffix(".key")
        cert_file.write_bytes(certificate.public_bytes(PEM))
        key_file.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return Certificate(certificate, cert_file, key_file)


class Pki:
    """All certificates of a run, in one directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.trusted = Authority(directory, "Lab CA")
        self.unknown = Authority(directory, "Unknown CA")

    def good(self, *names: str) -> Certificate:
        """Valid, from the authority that the mail host trusts."""
        return self.trusted.issue(list(names))

    def expired(self, *names: str) -> Certificate:
        """As good, but its last day was yesterday."""
        now = datetime.now(timezone.utc)
        return self.trusted.issue(list(names), not_before=now - 30 * DAY, not_after=now - DAY)

    def unknown_ca(self, *names: str) -> Certificate:
        """Valid, but from an authority that the mail host does not know."""
        return self.unknown.issue(list(names))

    def self_signed(self, *names: str, common_name: str | None = None) -> Certificate:
        """Signed with its own key."""
        return self.trusted.self_signed(list(names), common_name)

    def client(self, common_name: str, *names: str) -> Certificate:
        """A client certificate for inbound tests; the names go into its subjectAltName."""
        return self.trusted.issue(list(names) or [common_name], common_name=common_name)


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey,
             not_before: datetime, not_after: datetime) -> x509.CertificateBuilder:
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(not_before).not_valid_after(not_after))


def _with_names(builder: x509.CertificateBuilder, names: list[str]) -> x509.CertificateBuilder:
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    return builder.add_extension(alternative, critical=False)
