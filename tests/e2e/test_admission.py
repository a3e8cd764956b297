"""What is refused while a message comes in, by the policy service or by the milter: only what the rules say."""

from dataclasses import dataclass

import pytest

from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.network import LAN_CLIENT, OUTSIDE_CLIENT, STRANGER
from lab.pki import Certificate
from lab.smtp_client import Reply, Submission
from rows import add_row, settle

OURS = "alice@ours.example"

@dataclass(frozen=True)
class Layer:
    """One smtpd with only the policy service, only the milter, or both; and a twin with TLS 1.2 and 128 bits only."""

    name: str
    port: int
    twin: int


LAYERS = (Layer("policy service", 2501, 2511), Layer("milter", 2502, 2512), Layer("both", 2503, 2513))
LEFT_OUT = {"policy service": "-o smtpd_milters=", "milter": "-o smtpd_recipient_restrictions=", "both": ""}
OLD_TLS = ("-o smtpd_tls_protocols=<=TLSv1.2 -o smtpd_tls_ciphers=high "
           "-o tls_high_cipherlist=ECDHE-ECDSA-AES128-GCM-SHA256")


@pytest.fixture(scope="module", name="ports")
def _ports(shared_lab: Lab, shared_forcetls: Forcetls) -> None:
    """All smtpds at once, since each reload costs a second."""
    del shared_forcetls
    shared_lab.reset("forcetls")
    shared_lab.postfix.set(smtpd_tls_ask_ccert="yes", smtpd_tls_fingerprint_digest="sha256")
    for layer in LAYERS:
        for port, options in ((layer.port, ""), (layer.twin, OLD_TLS)):
            shared_lab.postfix.set_service(f"{port} inet n - y - - smtpd {LEFT_OUT[layer.name]} {options}".rstrip())
    shared_lab.postfix.reload()


@pytest.fixture(name="lab")
def _lab(shared_lab: Lab, ports: None) -> Lab:
    """As everywhere, but Postfix's configuration is that of `ports`."""
    del ports
    shared_lab.postfix.delete_all()
    return shared_lab


@pytest.fixture(name="layer", params=LAYERS, ids=[layer.name for layer in LAYERS])
def _layer(request: pytest.FixtureRequest) -> Layer:
    return request.param


def _send(lab: Lab, port: int, sender: str, *recipients: str, source: str | None = STRANGER, tls: bool = False,
          certificate: Certificate | None = None) -> Submission:
    with lab.client(source, port) as client:
        if tls:
            assert client.starttls(certificate).code == 250
        submission = client.send(sender, list(recipients))
        client.quit()
    return submission


def _refusal(submission: Submission) -> Reply:
    """The one reply that refuses: to MAIL, or to the only recipient."""
    assert submission.queue_id is None
    if not submission.mail.accepted:
        return submission.mail
    [reply] = submission.replies.values()
    return reply


# -- mail from a partner ---------------------------------------------------------------------------------------------

def test_mail_from_a_partner_that_must_use_tls_is_refused_in_clear_and_taken_with_tls(
        lab: Lab, forcetls: Forcetls, layer: Layer):
    partner = add_row(lab, forcetls, inbound="encrypt")
    refused = _refusal(_send(lab, layer.port, partner.address(), OURS))
    assert refused.code == 451
    assert refused.text.startswith("451 4.7.4 ")
    assert f"mail from {partner.domain} must arrive over TLS; use STARTTLS" in refused.text
    assert _send(lab, layer.port, partner.address(), OURS, tls=True).queue_id
    assert _send(lab, layer.port, f"x@sub.{partner.domain}", OURS).queue_id, "sub-domains have rows of their own"
    assert _send(lab, layer.port, "x@customer.example", OURS).queue_id
    assert _send(lab, layer.port, "", OURS).queue_id, "bounces have no domain"


@pytest.mark.parametrize("spelling", ["x@{UPPER}", "x@{domain}."])
def test_the_senders_domain_counts_in_every_spelling(lab: Lab, forcetls: Forcetls, layer: Layer, spelling: str):
    partner = add_row(lab, forcetls, inbound="encrypt")
    sender = spelling.format(UPPER=partner.domain.upper(), domain=partner.domain)
    assert _refusal(_send(lab, layer.port, sender, OURS)).code in (451, 501)


def test_with_on_failure_reject_mail_from_the_partner_is_refused_for_good(lab: Lab, forcetls: Forcetls, layer: Layer):
    partner = add_row(lab, forcetls, inbound="encrypt", on_failure="reject")
    assert _refusal(_send(lab, layer.port, partner.address(), OURS)).code == 550
    assert _send(lab, layer.port, partner.address(), OURS, tls=True).queue_id


def test_a_partner_that_uses_an_older_tls_than_agreed_is_refused(lab: Lab, forcetls: Forcetls, layer: Layer):
    partner = add_row(lab, forcetls, inbound="encrypt", min_protocol="TLSv1.3")
    assert _send(lab, layer.port, partner.address(), OURS, tls=True).queue_id
    refused = _refusal(_send(lab, layer.twin, partner.address(), OURS, tls=True))
    assert refused.code == 451 and "newer TLS version than TLSv1.2" in refused.text


def test_a_partner_that_uses_a_weaker_cipher_than_agreed_is_refused(lab: Lab, forcetls: Forcetls, layer: Layer):
    strong = add_row(lab, forcetls, inbound="encrypt", min_bits=256)
    weak = add_row(lab, forcetls, inbound="encrypt", min_bits=128)
    refused = _refusal(_send(lab, layer.twin, strong.address(), OURS, tls=True))
    assert refused.code == 451 and "stronger cipher than 128 bits" in refused.text
    assert _send(lab, layer.twin, weak.address(), OURS, tls=True).queue_id
    assert _send(lab, layer.port, strong.address(), OURS, tls=True).queue_id


@pytest.mark.parametrize("digest", ["digest", "public_key_digest"])
def test_a_client_certificate_counts_by_its_digest_where_the_policy_service_sees_it(
        lab: Lab, forcetls: Forcetls, layer: Layer, digest: str):
    certificate, another = lab.pki.client("mail.partner.example"), lab.pki.client("mail.partner.example")
    partner = add_row(lab, forcetls, inbound="verify", inbound_match=getattr(certificate, digest))
    assert _send(lab, layer.port, partner.address(), OURS, tls=True, certificate=certificate).queue_id
    assert _refusal(_send(lab, layer.port, partner.address(), OURS)).code == 451
    if layer.name == "milter":
        return  # It is never shown digests, and leaves them to the policy service.
    for wrong in (another, None):
        refused = _refusal(_send(lab, layer.port, partner.address(), OURS, tls=True, certificate=wrong))
        assert refused.code == 451 and "agreed client certificate" in refused.text


def test_a_client_certificate_counts_by_its_name_if_its_authority_is_trusted(
        lab: Lab, forcetls: Forcetls, layer: Layer):
    partner = add_row(lab, forcetls, inbound="verify", inbound_match="mail.partner.example:.fleet.example")
    for name in ("mail.partner.example", "a.fleet.example"):
        certificate = lab.pki.client(name)
        assert _send(lab, layer.port, partner.address(), OURS, tls=True, certificate=certificate).queue_id, name
    stolen = lab.pki.unknown.issue(["mail.partner.example"])
    for wrong in (lab.pki.client("mail.elsewhere.example"), lab.pki.client("fleet.example"), stolen, None):
        refused = _refusal(_send(lab, layer.port, partner.address(), OURS, tls=True, certificate=wrong))
        assert refused.code == 451 and "agreed client certificate" in refused.text


@pytest.mark.parametrize("source", [None, LAN_CLIENT])
def test_trusted_clients_are_exempt(lab: Lab, forcetls: Forcetls, layer: Layer, source: str | None):
    partner = add_row(lab, forcetls, inbound="encrypt", outbound="secure")
    assert _send(lab, layer.port, partner.address(), OURS, source=source).queue_id
    assert _send(lab, layer.port, OURS, partner.address(), source=source).queue_id


# -- mail to a forced domain, handed over in clear ---------------------------------------------------------------------

def test_mail_for_a_forced_domain_is_refused_in_clear_from_outside_and_the_other_recipients_go_on(
        lab: Lab, forcetls: Forcetls, layer: Layer):
    forced, free = add_row(lab, forcetls, outbound="secure"), lab.partners.add("clear")
    submission = _send(lab, layer.port, "x@customer.example", free.address(), forced.address(), OURS,
                       source=OUTSIDE_CLIENT)
    reply = submission.replies[forced.address()]
    assert reply.code == 451 and reply.text.startswith("451 4.7.4 ")
    assert f"mail for {forced.domain} must be handed over with TLS; use STARTTLS" in reply.text
    assert submission.replies[free.address()].code == submission.replies[OURS].code == 250
    assert lab.outcome(submission, free.address()).status == "sent"
    assert lab.outcome(submission, OURS).status == "sent"
    assert not forced.messages
    with_tls = _send(lab, layer.port, "x@customer.example", forced.address(), source=OUTSIDE_CLIENT, tls=True)
    assert lab.outcome(with_tls).status == "sent"
    lab.assert_never_in_clear(with_tls.token)


@pytest.mark.parametrize(("outbound", "code"), [("none", 250), ("may", 250), ("dane", 250), ("encrypt", 451),
                                                ("verify", 451), ("dane-only", 451)])
def test_only_forced_levels_object_to_clear_submission(
        lab: Lab, forcetls: Forcetls, layer: Layer, outbound: str, code: int):
    partner = add_row(lab, forcetls, outbound=outbound)
    submission = _send(lab, layer.port, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT)
    assert submission.replies[partner.address()].code == code


def test_with_on_failure_reject_clear_submission_is_refused_for_good(lab: Lab, forcetls: Forcetls, layer: Layer):
    partner = add_row(lab, forcetls, outbound="secure", on_failure="reject")
    refused = _refusal(_send(lab, layer.port, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT))
    assert refused.code == 550 and refused.text.startswith("550 5.7.4 ")


def test_clear_submission_accept_takes_it_and_delivery_still_holds(lab: Lab, forcetls: Forcetls, layer: Layer):
    partner = add_row(lab, forcetls, kind="clear", outbound="secure")
    forcetls.set_policy("UPDATE setting SET value = 'accept' WHERE name = 'clear_submission'")
    settle(forcetls)
    submission = _send(lab, layer.port, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT)
    assert lab.outcome(submission).dsn == "4.7.4"
    # It came in clear over the same link; what counts is that nobody was handed it.
    assert not lab.partners.saw_in_clear(submission.token) and not partner.messages


def test_own_domains_take_mail_in_clear_though_they_have_a_row(lab: Lab, forcetls: Forcetls, layer: Layer):
    if "ours.example" not in forcetls.query("SELECT domain FROM domain_policy").split():
        forcetls.set_policy("INSERT INTO domain_policy(domain, outbound) VALUES ('ours.example', 'secure')")
    settle(forcetls)
    try:
        assert _refusal(_send(lab, layer.port, "x@customer.example", OURS)).code == 451
        forcetls.set_policy("UPDATE setting SET value = 'other.example ours.example' WHERE name = 'own_domains'")
        settle(forcetls)
        assert _send(lab, layer.port, "x@customer.example", OURS).queue_id
    finally:
        forcetls.set_policy("DELETE FROM domain_policy WHERE domain = 'ours.example'")


def test_a_changed_list_of_trusted_clients_counts_at_once(lab: Lab, forcetls: Forcetls, layer: Layer):
    partner = add_row(lab, forcetls, outbound="secure")
    forcetls.set_policy("UPDATE setting SET value = '203.0.113.0/24' WHERE name = 'trusted_clients'")
    settle(forcetls)
    assert _send(lab, layer.port, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT).queue_id
    assert _refusal(_send(lab, layer.port, "x@customer.example", partner.address(), source=LAN_CLIENT)).code == 451


def test_a_test_row_refuses_nothing(lab: Lab, forcetls: Forcetls, layer: Layer):
    partner = add_row(lab, forcetls, kind="clear", outbound="secure", inbound="encrypt", mode="test")
    to_it = _send(lab, layer.port, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT)
    assert lab.outcome(to_it).status == "sent" and lab.went_in_clear(to_it.token)
    assert _send(lab, layer.port, partner.address(), OURS).queue_id


def test_a_suspension_also_suspends_admission(lab: Lab, forcetls: Forcetls, layer: Layer):
    partner = add_row(lab, forcetls, outbound="secure", inbound="encrypt")
    forcetls.set_policy("INSERT INTO suspension(domain, level, ends_at, reason) VALUES "
                        f"('{partner.domain}', 'may', datetime('now', '+1 hours'), 'a test')")
    settle(forcetls)
    assert _send(lab, layer.port, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT).queue_id
    assert _send(lab, layer.port, partner.address(), OURS).queue_id


def test_relaying_is_never_granted_by_an_answer_of_ours(lab: Lab, forcetls: Forcetls, layer: Layer):
    partner = add_row(lab, forcetls, outbound="secure")
    submission = _send(lab, layer.port, "x@customer.example", partner.address(), tls=True)
    assert submission.replies[partner.address()].code == 454 and not submission.queue_id
