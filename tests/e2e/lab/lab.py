"""The whole laboratory, as a test or the demo sees it: one mail host, its partners, and what went over the wire."""

import os
import resource
import shutil
from pathlib import Path

from . import host_files, isolate, network
from .catalogue import Partner, Partners
from .dns import DnsServer
from .forcetls import Forcetls
from .maillog import Outcome
from .message import Message, compose
from .network import Network
from .pki import Pki
from .postfix import Postfix
from .smtp_client import SmtpClient, Submission
from .waiting import wait_for
from .wire import Capture

OWN_DOMAIN = "ours.example"
MAIL_HOST_NAME = "mail.ours.example"
SENDER = "alice@ours.example"
POSTFIX_PARTNER_ADDRESS = "10.90.0.25"
FILED_DEADLINE_S = 20


class Lab:
    """Use as a context manager, inside a run of isolate. One per process."""

    def __init__(self) -> None:
        self.directory = isolate.run_directory()
        hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))  # A matrix has hundreds of servers.
        host_files.install(self.directory)
        self.network = Network()
        self.pki = Pki(self.directory / "pki")
        host_files.trust(self.pki.trusted.cert_file)
        self.dns = DnsServer(self.network, network.DNS_ADDRESS)
        self.dns.add_mx(OWN_DOMAIN, MAIL_HOST_NAME)
        self.dns.add_a(MAIL_HOST_NAME, network.MAIL_HOST)
        self.partners = Partners(self.network, self.pki, self.dns)
        self.capture = Capture(self.directory)
        self._instances: list[Postfix] = []
        self.postfix = self._mail_host()
        self._forcetls: Forcetls | None = None
        self._postfix_partner: "PostfixPartner | None" = None

    def __enter__(self) -> "Lab":
        self.postfix.start()
        self.postfix.remember_configuration()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._forcetls:
                self._forcetls.stop()
        finally:
            for instance in self._instances:
                instance.stop()
            self.partners.close()
            self.dns.close()
            self.capture.close()

    def start_forcetls(self) -> Forcetls:
        """Bolts forcetls onto the mail host: empty policy, daemons started, main.cf lines in force ("forcetls").

        By the lines for doing it by hand; with FORCETLS_LAB_SETUP in the environment by forcetls setup --apply.
        """
        assert self._forcetls is None, "forcetls is there already"
        self._forcetls = Forcetls(self.directory / "forcetls", self.postfix)
        self._forcetls.init()
        self._forcetls.start()
        if "FORCETLS_LAB_SETUP" in os.environ:
            self._forcetls.bolt_on_by_setup()
        else:
            self._forcetls.bolt_onto_postfix()
            self.postfix.reload()
        self.postfix.remember_configuration("forcetls")
        return self._forcetls

    def logs(self) -> dict[str, str]:
        """The ends of all logs, for error messages."""
        logs = {"mail log": self.postfix.log.tail(40)}
        if self._forcetls:
            logs |= {daemon.name: daemon.output()[-4000:] for daemon in self._forcetls.daemons}
        return logs

    def reset(self, state: str = "stock") -> None:
        """Between tests: the queue empty, Postfix configured as "stock" or as "forcetls" (after its start).

        Partners and log lines stay: tests use partners of their own.
        """
        self.postfix.restore_configuration(state)
        self.postfix.delete_all()

    # -- sending -----------------------------------------------------------------------------------------------------

    def client(self, source: str | None = None, port: int = 25) -> SmtpClient:
        """An SMTP connection to the mail host, after EHLO; from loopback, or from an address of the partner side."""
        client = SmtpClient(port=port, network=self.network, source=source)
        client.hello()
        return client

    def send(self, *recipients: str, sender: str = SENDER, message: Message | None = None) -> Submission:
        """Hands in one message from loopback, in clear: each recipient's reply is in the result."""
        with self.client() as client:
            submission = client.send(sender, list(recipients), message)
            client.quit()
        return submission

    def sendmail(self, *recipients: str, sender: str = SENDER, message: Message | None = None,
                 user: str = "alice") -> Submission:
        """Hands in one message by sendmail(1) and waits for its queue id."""
        submission = Submission(message or compose())
        result = self.postfix.sendmail(sender, list(recipients), submission.message, user=user)
        assert result.returncode == 0, f"sendmail: exit {result.returncode}: {result.stderr!r}"
        submission.queue_id = self.postfix.log.wait_for_queue_id(submission.message.message_id)
        return submission

    # -- what became of it -------------------------------------------------------------------------------------------

    def outcome(self, submission: Submission, recipient: str | None = None, *, attempt: int = 1,
                status: str | None = None, deadline_s: float = 60) -> Outcome:
        """Waits for what Postfix logs about a message and recipient: its Nth attempt, or the first with a status."""
        assert submission.queue_id, f"not queued: {submission.mail} {submission.replies} {submission.end_of_data}"
        return self.postfix.log.wait_for_outcome(
            submission.queue_id, recipient, attempt=attempt, status=status, deadline_s=deadline_s)

    def went_in_clear(self, token: bytes) -> bool:
        """True if the token left the mail host outside TLS: captured on the wire, or seen so by any server."""
        return self.capture.contains(token) or bool(self.partners.saw_in_clear(token))

    def assert_never_in_clear(self, token: bytes) -> None:
        """Fails if the token was captured on the wire, or received outside TLS by any server."""
        self.capture.assert_never_in_clear(token)
        seen_by = self.partners.saw_in_clear(token)
        assert not seen_by, f"{token!r} was received in clear by {seen_by}"

    def local_mail(self, user: host_files.LabUser) -> list[bytes]:
        """The messages in a local user's Maildir."""
        return _maildir(host_files.home_of(user) / "Maildir")

    def set_forward(self, user: host_files.LabUser, target: str) -> None:
        """Gives a local user a .forward file."""
        forward = host_files.home_of(user) / ".forward"
        forward.write_text(target + "\n", encoding="utf-8")
        shutil.chown(forward, user.uid, user.uid)

    def forget_local_mail(self) -> None:
        """Empties the Maildirs and .forward files of the local users."""
        for user in host_files.USERS:
            home = host_files.home_of(user)
            shutil.rmtree(home / "Maildir", ignore_errors=True)
            (home / ".forward").unlink(missing_ok=True)

    # -- Postfix instances -------------------------------------------------------------------------------------------

    def start_postfix_partner(self, domain: str) -> "PostfixPartner":
        """A partner that is a real Postfix with a good certificate; one per lab, takes seconds to start.

        Called again it gives the same one, which then takes mail for this domain, too.
        """
        if self._postfix_partner is None:
            self._postfix_partner = PostfixPartner(self, domain)
        else:
            self._postfix_partner.take_over(self, domain)
        return self._postfix_partner

    def start_second_instance(self, port: int, name: str = "postfix-second") -> Postfix:
        """Another Postfix on the mail host, as multi-instance sites have it; it listens on loopback."""
        instance = self._instance(name, {**self._mail_host_parameters(name), "inet_interfaces": "loopback-only"},
                                  smtpd_port=port)
        instance.set_aliases({"postmaster": "root"})
        instance.start()
        return instance

    def instance(self, name: str) -> Postfix:
        """The one whose directory has that name."""
        return next(instance for instance in self._instances if instance.etc.parent.name == name)

    def _mail_host(self) -> Postfix:
        instance = self._instance("postfix", self._mail_host_parameters("postfix"))
        instance.set_aliases({"postmaster": "root"})
        return instance

    def _mail_host_parameters(self, name: str) -> dict[str, str]:
        certificate = self.pki.good(MAIL_HOST_NAME)
        aliases = self.directory / name / "etc" / "aliases"
        return {
            "myhostname": MAIL_HOST_NAME, "mydomain": OWN_DOMAIN, "myorigin": OWN_DOMAIN,
            "mydestination": f"{OWN_DOMAIN}, localhost", "inet_interfaces": "all", "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8 10.92.0.0/16 203.0.113.0/24", "home_mailbox": "Maildir/",
            "alias_maps": f"hash:{aliases}", "alias_database": f"hash:{aliases}",
            "smtp_tls_security_level": "may", "smtp_tls_CAfile": str(host_files.CA_STORE),
            "smtp_tls_loglevel": "1", "smtp_tls_fingerprint_digest": "sha256",
            "smtp_starttls_timeout": "5s", "smtp_connect_timeout": "5s", "enable_long_queue_ids": "yes",
            "smtpd_tls_security_level": "may", "smtpd_tls_loglevel": "1", "smtpd_tls_received_header": "yes",
            "smtpd_tls_cert_file": str(certificate.cert_file), "smtpd_tls_key_file": str(certificate.key_file),
            "smtpd_tls_CAfile": str(self.pki.trusted.cert_file),
        }

    def _instance(self, name: str, parameters: dict[str, str], **options: object) -> Postfix:
        instance = Postfix(self.directory / name, parameters, **options)
        self._instances.append(instance)
        host_files.allow_postfix_directories(*(known.etc for known in self._instances))
        return instance


class PostfixPartner:
    """A real Postfix on the partner side that files every message for its domain in a Maildir."""

    def __init__(self, lab: Lab, domain: str) -> None:
        self.domain, self.hostname = domain, f"mx1.{domain}"
        self.certificate = lab.pki.good(self.hostname)
        lab.network.add_partner_address(POSTFIX_PARTNER_ADDRESS)
        lab.dns.add_mx(domain, self.hostname)
        lab.dns.add_a(self.hostname, POSTFIX_PARTNER_ADDRESS)
        self._mail = lab.directory / "postfix-partner" / "mail"
        owner = host_files.BOB.uid
        self.postfix = lab._instance("postfix-partner", {
            "myhostname": self.hostname, "mydestination": "", "mynetworks": "127.0.0.0/8",
            "inet_interfaces": POSTFIX_PARTNER_ADDRESS, "inet_protocols": "ipv4",
            "virtual_mailbox_domains": domain, "virtual_mailbox_maps": "static:all/",
            "virtual_mailbox_base": str(self._mail), "virtual_uid_maps": f"static:{owner}",
            "virtual_gid_maps": f"static:{owner}", "smtpd_tls_security_level": "may", "smtpd_tls_loglevel": "1",
            "smtpd_tls_received_header": "yes", "smtpd_tls_cert_file": str(self.certificate.cert_file),
            "smtpd_tls_key_file": str(self.certificate.key_file),
        }, smtpd_address=POSTFIX_PARTNER_ADDRESS, namespace=lab.network.partner_side)
        self._mail.mkdir()
        shutil.chown(self._mail, owner, owner)
        self.postfix.start()

    def take_over(self, lab: Lab, domain: str) -> None:
        """From now on its domain, with an MX name and certificate of its own, is this one."""
        if domain == self.domain:
            return
        self.domain, self.hostname = domain, f"mx1.{domain}"
        self.certificate = lab.pki.good(self.hostname)
        lab.dns.add_mx(domain, self.hostname)
        lab.dns.add_a(self.hostname, POSTFIX_PARTNER_ADDRESS)
        self.postfix.set(
            myhostname=self.hostname, virtual_mailbox_domains=domain, smtpd_tls_security_level="may",
            smtpd_tls_cert_file=str(self.certificate.cert_file), smtpd_tls_key_file=str(self.certificate.key_file))
        self.postfix.reload()

    def address(self, local_part: str = "user") -> str:
        """An e-mail address at the partner."""
        return f"{local_part}@{self.domain}"

    def messages(self) -> list[bytes]:
        """All messages filed so far; their Received lines tell the TLS version."""
        return _maildir(self._mail / "all")

    def wait_for_message(self, token: bytes) -> bytes:
        """The message with that token, once it is filed."""
        found = wait_for(lambda: [message for message in self.messages() if token in message], FILED_DEADLINE_S,
                         f"{token!r} to be filed at {self.domain}", self.postfix.log.tail)
        return found[0]


def _maildir(directory: Path) -> list[bytes]:
    files = (file for part in ("new", "cur") for file in (directory / part).glob("*"))
    return [file.read_bytes() for file in sorted(files)]
