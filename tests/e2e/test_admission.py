"""What is refused while a message comes in, by the policy service or by the milter: only what the rules say."""

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.network import LAN_CLIENT, OUTSIDE_CLIENT, STRANGER
from lab.pki import Certificate
from lab.smtp_client import Reply, Submission
from lab.waiting import wait_for

OURS = "alice@ours.example"
LAYERS = ("policy service", "milter", "both")


@pytest.fixture(name="layer", params=LAYERS)
def _layer(lab: Lab, forcetls: Forcetls, request: pytest.FixtureRequest) -> str:
    """Only one of the two, or both as installed."""
    del forcetls
    if request.param == "milter":
        lab.postfix.set(smtpd_recipient_restrictions="")
    elif request.param == "policy service":
        lab.postfix.set(smtpd_milters="", non_smtpd_milters="")
    lab.postfix.set(smtpd_tls_ask_ccert="yes", smtpd_tls_fingerprint_digest="sha256")
    lab.postfix.reload()
    return request.param


def _add_row(lab: Lab, forcetls: Forcetls, kind: str = "good", **columns: object) -> Partner:
    """A partner with a row, in force in both daemons."""
    partner = lab.partners.add(kind)
    names = ", ".join(["domain", *columns])
    values = ", ".join(str(value) if isinstance(value, int) else f"'{value}'" for value in columns.values())
    forcetls.set_policy(f"INSERT INTO domain_policy({names}) VALUES ('{partner.domain}'{', ' + values if values else ''})")
    _settle(forcetls)
    return partner


def _settle(forcetls: Forcetls) -> None:
    """Until what was committed is in force, in both daemons."""
    domain = f"settled-{forcetls.query('SELECT max(seq) FROM policy_change').strip()}.example"
    before = forcetls.milter.output().count("policy in force")
    forcetls.set_policy(f"INSERT INTO domain_policy(domain) VALUES ('{domain}')")
    forcetls.wait_for_answer("tls", domain, "OK encrypt")
    wait_for(lambda: forcetls.milter.output().count("policy in force") > before, 5, "the milter to have the row")


def _send(lab: Lab, sender: str, *recipients: str, source: str | None = STRANGER, tls: bool = False,
          certificate: Certificate | None = None) -> Submission:
    with lab.client(source) as client:
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
        lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    partner = _add_row(lab, forcetls, inbound="encrypt")
    refused = _refusal(_send(lab, partner.address(), OURS))
    assert refused.code == 451
    assert refused.text.startswith("451 4.7.4 ")
    assert f"mail from {partner.domain} must arrive over TLS; use STARTTLS" in refused.text
    assert _send(lab, partner.address(), OURS, tls=True).queue_id
    assert _send(lab, f"x@sub.{partner.domain}", OURS).queue_id, "sub-domains have rows of their own"
    assert _send(lab, "x@customer.example", OURS).queue_id
    assert _send(lab, "", OURS).queue_id, "bounces have no domain"


@pytest.mark.parametrize("spelling", ["x@{UPPER}", "x@{domain}."])
def test_the_senders_domain_counts_in_every_spelling(lab: Lab, forcetls: Forcetls, layer: str, spelling: str):
    del layer
    partner = _add_row(lab, forcetls, inbound="encrypt")
    sender = spelling.format(UPPER=partner.domain.upper(), domain=partner.domain)
    assert _refusal(_send(lab, sender, OURS)).code in (451, 501)


def test_with_on_failure_reject_mail_from_the_partner_is_refused_for_good(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    partner = _add_row(lab, forcetls, inbound="encrypt", on_failure="reject")
    assert _refusal(_send(lab, partner.address(), OURS)).code == 550
    assert _send(lab, partner.address(), OURS, tls=True).queue_id


def test_a_partner_that_uses_an_older_tls_than_agreed_is_refused(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    partner = _add_row(lab, forcetls, inbound="encrypt", min_protocol="TLSv1.3")
    assert _send(lab, partner.address(), OURS, tls=True).queue_id
    lab.postfix.set(smtpd_tls_protocols="<=TLSv1.2")
    lab.postfix.reload()
    refused = _refusal(_send(lab, partner.address(), OURS, tls=True))
    assert refused.code == 451 and "newer TLS version than TLSv1.2" in refused.text


def test_a_partner_that_uses_a_weaker_cipher_than_agreed_is_refused(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    strong = _add_row(lab, forcetls, inbound="encrypt", min_bits=256)
    weak = _add_row(lab, forcetls, inbound="encrypt", min_bits=128)
    lab.postfix.set(smtpd_tls_protocols="<=TLSv1.2", smtpd_tls_ciphers="high",
                    tls_high_cipherlist="ECDHE-ECDSA-AES128-GCM-SHA256")
    lab.postfix.reload()
    refused = _refusal(_send(lab, strong.address(), OURS, tls=True))
    assert refused.code == 451 and "stronger cipher than 128 bits" in refused.text
    assert _send(lab, weak.address(), OURS, tls=True).queue_id


@pytest.mark.parametrize("digest", ["digest", "public_key_digest"])
def test_a_client_certificate_counts_by_its_digest_where_the_policy_service_sees_it(
        lab: Lab, forcetls: Forcetls, layer: str, digest: str):
    certificate, another = lab.pki.client("mail.partner.example"), lab.pki.client("mail.partner.example")
    partner = _add_row(lab, forcetls, inbound="verify", inbound_match=getattr(certificate, digest))
    assert _send(lab, partner.address(), OURS, tls=True, certificate=certificate).queue_id
    assert _refusal(_send(lab, partner.address(), OURS)).code == 451
    if layer == "milter":
        return  # It is never shown digests, and leaves them to the policy service.
    for wrong in (another, None):
        refused = _refusal(_send(lab, partner.address(), OURS, tls=True, certificate=wrong))
        assert refused.code == 451 and "agreed client certificate" in refused.text


def test_a_client_certificate_counts_by_its_name_if_its_authority_is_trusted(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    partner = _add_row(lab, forcetls, inbound="verify", inbound_match="mail.partner.example:.fleet.example")
    for name in ("mail.partner.example", "a.fleet.example"):
        assert _send(lab, partner.address(), OURS, tls=True, certificate=lab.pki.client(name)).queue_id, name
    stolen = lab.pki.unknown.issue(["mail.partner.example"])
    for wrong in (lab.pki.client("mail.elsewhere.example"), lab.pki.client("fleet.example"), stolen, None):
        refused = _refusal(_send(lab, partner.address(), OURS, tls=True, certificate=wrong))
        assert refused.code == 451 and "agreed client certificate" in refused.text


@pytest.mark.parametrize("source", [None, LAN_CLIENT])
def test_trusted_clients_are_exempt(lab: Lab, forcetls: Forcetls, layer: str, source: str | None):
    del layer
    partner = _add_row(lab, forcetls, inbound="encrypt", outbound="secure")
    assert _send(lab, partner.address(), OURS, source=source).queue_id
    assert _send(lab, OURS, partner.address(), source=source).queue_id


# -- mail to a forced domain, handed over in clear ---------------------------------------------------------------------

def test_mail_for_a_forced_domain_is_refused_in_clear_from_outside_and_the_other_recipients_go_on(
        lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    forced, free = _add_row(lab, forcetls, outbound="secure"), lab.partners.add("clear")
    submission = _send(lab, "x@customer.example", free.address(), forced.address(), OURS, source=OUTSIDE_CLIENT)
    reply = submission.replies[forced.address()]
    assert reply.code == 451 and reply.text.startswith("451 4.7.4 ")
    assert f"mail for {forced.domain} must be handed over with TLS; use STARTTLS" in reply.text
    assert submission.replies[free.address()].code == submission.replies[OURS].code == 250
    assert lab.outcome(submission, free.address()).status == "sent"
    assert lab.outcome(submission, OURS).status == "sent"
    assert not forced.messages
    with_tls = _send(lab, "x@customer.example", forced.address(), source=OUTSIDE_CLIENT, tls=True)
    assert lab.outcome(with_tls).status == "sent"
    lab.assert_never_in_clear(with_tls.token)


@pytest.mark.parametrize(("outbound", "code"), [("none", 250), ("may", 250), ("dane", 250), ("encrypt", 451),
                                                ("verify", 451), ("dane-only", 451)])
def test_only_forced_levels_object_to_clear_submission(
        lab: Lab, forcetls: Forcetls, layer: str, outbound: str, code: int):
    del layer
    partner = _add_row(lab, forcetls, outbound=outbound)
    submission = _send(lab, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT)
    assert submission.replies[partner.address()].code == code


def test_with_on_failure_reject_clear_submission_is_refused_for_good(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    partner = _add_row(lab, forcetls, outbound="secure", on_failure="reject")
    refused = _refusal(_send(lab, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT))
    assert refused.code == 550 and refused.text.startswith("550 5.7.4 ")


def test_clear_submission_accept_takes_it_and_delivery_still_holds(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    partner = _add_row(lab, forcetls, kind="clear", outbound="secure")
    forcetls.set_policy("UPDATE setting SET value = 'accept' WHERE name = 'clear_submission'")
    _settle(forcetls)
    submission = _send(lab, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT)
    assert lab.outcome(submission).dsn == "4.7.4"
    # It came in clear over the same link; what counts is that nobody was handed it.
    assert not lab.partners.saw_in_clear(submission.token) and not partner.messages


def test_own_domains_take_mail_in_clear_though_they_have_a_row(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    if "ours.example" not in forcetls.query("SELECT domain FROM domain_policy").split():
        forcetls.set_policy("INSERT INTO domain_policy(domain, outbound) VALUES ('ours.example', 'secure')")
    _settle(forcetls)
    try:
        assert _refusal(_send(lab, "x@customer.example", OURS)).code == 451
        forcetls.set_policy("UPDATE setting SET value = 'other.example ours.example' WHERE name = 'own_domains'")
        _settle(forcetls)
        assert _send(lab, "x@customer.example", OURS).queue_id
    finally:
        forcetls.set_policy("DELETE FROM domain_policy WHERE domain = 'ours.example'")


def test_a_changed_list_of_trusted_clients_counts_at_once(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    partner = _add_row(lab, forcetls, outbound="secure")
    forcetls.set_policy("UPDATE setting SET value = '203.0.113.0/24' WHERE name = 'trusted_clients'")
    _settle(forcetls)
    assert _send(lab, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT).queue_id
    assert _refusal(_send(lab, "x@customer.example", partner.address(), source=LAN_CLIENT)).code == 451


def test_a_test_row_refuses_nothing(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    partner = _add_row(lab, forcetls, kind="clear", outbound="secure", inbound="encrypt", mode="test")
    to_it = _send(lab, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT)
    assert lab.outcome(to_it).status == "sent" and lab.went_in_clear(to_it.token)
    assert _send(lab, partner.address(), OURS).queue_id


def test_a_suspension_also_suspends_admission(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    partner = _add_row(lab, forcetls, outbound="secure", inbound="encrypt")
    forcetls.set_policy("INSERT INTO suspension(domain, level, ends_at, reason) VALUES "
                        f"('{partner.domain}', 'may', datetime('now', '+1 hours'), 'a test')")
    _settle(forcetls)
    assert _send(lab, "x@customer.example", partner.address(), source=OUTSIDE_CLIENT).queue_id
    assert _send(lab, partner.address(), OURS).queue_id


def test_relaying_is_never_granted_by_an_answer_of_ours(lab: Lab, forcetls: Forcetls, layer: str):
    del layer
    partner = _add_row(lab, forcetls, outbound="secure")
    submission = _send(lab, "x@customer.example", partner.address(), tls=True)
    assert submission.replies[partner.address()].code == 454 and not submission.queue_id
