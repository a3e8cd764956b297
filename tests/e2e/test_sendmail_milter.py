"""The milter behind a real Sendmail, with the macros that Sendmail sends: what it refuses, and what it lets in."""

import re
from dataclasses import dataclass
from typing import Iterator

import pytest

from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.network import STRANGER
from lab.pki import Certificate
from lab.sendmail import Inetd, Sendmail
from lab.smtp_client import Reply, Submission
from rows import add_row
from sendmail_site import NEEDS_SENDMAIL, start_site

OURS = "root@mail.ours.example"

pytestmark = NEEDS_SENDMAIL


@dataclass
class Site:
    """A Sendmail with the milter, and the port where it takes mail."""

    lab: Lab
    sendmail: Sendmail
    port: int

    def send(self, sender: str, *recipients: str, source: str | None = STRANGER, tls: bool = False,
             certificate: Certificate | None = None) -> Submission:
        """One message from outside, or (source None) from this host."""
        with self.lab.client(source, self.port) as client:
            if tls:
                assert client.starttls(certificate).code == 250
            submission = client.send(sender, list(recipients))
            client.quit()
        return submission


def _features(lab: Lab, more: str = "") -> str:
    server = lab.pki.good("mail.ours.example")
    server.key_file.chmod(0o600)  # Sendmail uses no key that others can read
    return (f"define(`confSERVER_CERT', `{server.cert_file}')dnl\ndefine(`confSERVER_KEY', `{server.key_file}')dnl\n"
            f"RELAY_DOMAIN(`example')dnl\n{more}")


def _without_macros(configuration: str) -> str:
    """The milter asks for the macros that it wants, whatever the site lists."""
    return re.sub(r"(?m)^O Milter\.macros\..*\n", "", configuration)


@pytest.fixture(scope="module", name="shared_site")
def _shared_site(shared_lab: Lab, shared_forcetls: Forcetls) -> Iterator[Site]:
    sendmail = start_site(shared_lab, shared_forcetls, _features(shared_lab), edit=_without_macros)
    server = Inetd(sendmail)
    yield Site(shared_lab, sendmail, server.port)
    server.close()


@pytest.fixture(name="site")
def _site(lab: Lab, forcetls: Forcetls, shared_site: Site) -> Site:
    del lab, forcetls
    return shared_site


def _taken(submission: Submission) -> bool:
    return submission.end_of_data is not None and submission.end_of_data.code == 250


def _refusal(submission: Submission) -> Reply:
    """The one reply that refuses: to MAIL, or to the only recipient."""
    assert not _taken(submission)
    if not submission.mail.accepted:
        return submission.mail
    [reply] = submission.replies.values()
    return reply


def test_mail_from_a_partner_that_must_use_tls_is_refused_in_clear_and_taken_with_tls(
        lab: Lab, forcetls: Forcetls, site: Site):
    partner = add_row(lab, forcetls, inbound="encrypt")
    refused = _refusal(site.send(partner.address(), OURS))
    assert refused.text.startswith("451 4.7.4 ") and f"mail from {partner.domain} must arrive over TLS" in refused.text
    assert _taken(site.send(partner.address(), OURS, tls=True))
    assert _taken(site.send(lab.partners.add("good").address(), OURS))
    assert _taken(site.send("", OURS))


def test_with_on_failure_reject_mail_from_the_partner_is_refused_for_good(lab: Lab, forcetls: Forcetls, site: Site):
    partner = add_row(lab, forcetls, inbound="encrypt", on_failure="reject")
    assert _refusal(site.send(partner.address(), OURS)).code == 550


def test_bits_and_version_of_the_session_are_known(lab: Lab, forcetls: Forcetls, site: Site):
    partner = add_row(lab, forcetls, inbound="encrypt", min_protocol="TLSv1.3", min_bits=256)
    assert _taken(site.send(partner.address(), OURS, tls=True))


def test_a_client_certificate_counts_by_its_name_if_its_authority_is_trusted(lab: Lab, forcetls: Forcetls, site: Site):
    partner = add_row(lab, forcetls, inbound="verify", inbound_match="mail.partner.example")
    assert _taken(site.send(partner.address(), OURS, tls=True, certificate=lab.pki.client("mail.partner.example")))
    for wrong in (lab.pki.client("mail.other.example"), lab.pki.client("mail.other.example", "mail.partner.example"),
                  lab.pki.client("x/CN=mail.partner.example"), lab.pki.self_signed("mail.partner.example"),
                  lab.pki.unknown_ca("mail.partner.example"), lab.pki.expired("mail.partner.example"), None):
        refused = _refusal(site.send(partner.address(), OURS, tls=True, certificate=wrong))
        assert refused.code == 451 and "agreed client certificate" in refused.text
    assert _refusal(site.send(partner.address(), OURS)).code == 451


def test_clear_submission_for_a_forced_domain_is_refused_from_outside_only(lab: Lab, forcetls: Forcetls, site: Site):
    forced, free = add_row(lab, forcetls, "good"), lab.partners.add("good")
    sender = free.address("sender")
    refused = _refusal(site.send(sender, forced.address()))
    assert refused.text.startswith("451 4.7.4 ") and forced.domain in refused.text
    assert _taken(site.send(sender, forced.address(), tls=True))
    assert _taken(site.send(sender, forced.address(), source=None))
    assert _taken(site.send(sender, free.address()))


def test_each_recipient_is_judged_for_itself(lab: Lab, forcetls: Forcetls, site: Site):
    forced, free = add_row(lab, forcetls, "good"), lab.partners.add("good")
    submission = site.send(free.address("sender"), free.address(), forced.address(), free.address("other"))
    assert [reply.code for reply in submission.replies.values()] == [250, 451, 250] and _taken(submission)


def test_tls_required_no_is_let_through_since_sendmail_does_not_obey_it(lab: Lab, forcetls: Forcetls, site: Site):
    forced = add_row(lab, forcetls, "clear")
    with lab.client(STRANGER, site.port) as client:
        assert client.starttls().code == 250
        client.command(f"MAIL FROM:<{lab.partners.add('good').address()}>")
        assert client.command(f"RCPT TO:<{forced.address()}>").code == 250
        client.command("DATA")
        assert client.command("TLS-Required: no\r\n\r\nhello\r\n.").code == 250
        client.quit()


def test_a_route_that_does_not_ask_is_refused_and_one_by_esmtp_or_relay_is_taken(lab: Lab, forcetls: Forcetls):
    forced, smart, free = (add_row(lab, forcetls, "good"), add_row(lab, forcetls, "good"), lab.partners.add("good"))
    route = (f"LOCAL_RULE_0\nR$* < @ {forced.domain} . > $*\t$#smtp8 $@ [{free.server.address}] $: $1 < @ "
             f"{forced.domain} . > $2\nR$* < @ {smart.domain} . > $*\t$#relay $@ [{smart.server.address}] $: $1 < @ "
             f"{smart.domain} . > $2\n")
    sendmail = start_site(lab, forcetls, _features(lab), before_ours=route)
    server = Inetd(sendmail)
    try:
        site = Site(lab, sendmail, server.port)
        refused = _refusal(site.send(free.address("sender"), forced.address(), tls=True))
        assert refused.code == 451 and "smtp8" in refused.text
        assert _taken(site.send(free.address("sender"), free.address(), tls=True))
        assert _taken(site.send(free.address("sender"), OURS, tls=True))
        taken = site.send(free.address("sender"), smart.address(), tls=True)
        assert _taken(taken), taken
    finally:
        server.close()


def test_while_the_milter_is_down_mail_waits_outside(lab: Lab, forcetls: Forcetls, site: Site):
    partner = lab.partners.add("good")
    forcetls.milter.kill()
    assert _refusal(site.send(partner.address(), OURS)).code == 451
    forcetls.start_milter()
    assert _taken(site.send(partner.address(), OURS, tls=True))
