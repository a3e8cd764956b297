"""However a forced domain, or the next hop to it, is written: without TLS mail for it waits, with TLS it goes."""

import itertools
import socket

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.host_files import ALICE
from lab.lab import Lab
from lab.partner import PartnerServer
from lab.smtp_client import Submission

_numbers = itertools.count(1)


def _assert_waits(lab: Lab, submission: Submission, recipient: str | None = None, attempt: int = 1) -> None:
    """The attempt ended with "TLS is required, but was not offered"; nothing of the body was ever in clear."""
    outcome = lab.outcome(submission, recipient, attempt=attempt)
    assert (outcome.status, outcome.dsn) == ("deferred", "4.7.4"), str(outcome)
    assert "TLS is required, but was not offered" in outcome.text
    lab.assert_never_in_clear(submission.token)


def _assert_goes_by_tls_when(lab: Lab, server: PartnerServer, submission: Submission) -> None:
    """The server, clear-only so far, learns TLS: now it gets the message, once, over TLS."""
    server.behaviour, _ = lab.partners.behaviour("good", server.hostname)
    lab.postfix.retry(submission.queue_id)
    outcome = lab.outcome(submission, attempt=2)
    assert outcome.status == "sent", str(outcome)
    assert [message.tls_version for message in server.messages if submission.token in message.data] == ["TLSv1.3"]
    lab.assert_never_in_clear(submission.token)


def _assert_waits_and_then_goes_by_tls(lab: Lab, partner: Partner, recipient: str) -> None:
    submission = lab.send(recipient)
    _assert_waits(lab, submission)
    _assert_goes_by_tls_when(lab, partner.server, submission)


def _assert_sent_in_clear(lab: Lab, submission: Submission) -> None:
    assert lab.outcome(submission).status == "sent"
    assert lab.went_in_clear(submission.token)


# -- spellings of the recipient --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", [
    "user@{domain}", "USER@{DOMAIN}", "user@{domain}.", "user+extension@{domain}", '"a b"@{domain}',
    '"user@elsewhere.example"@{domain}', "user%{domain}@ours.example", "{domain}!user@ours.example",
    "@ours.example:user@{domain}", "@elsewhere.example,@ours.example:user@{DOMAIN}", "ü@{domain}",
    "ü%{domain}@ours.example"])
def test_a_forced_domain_is_recognised_in_every_spelling_of_the_recipient(lab: Lab, forcetls: Forcetls, spelling: str):
    partner = lab.partners.add("clear")
    forcetls.add_row(partner.domain, "secure")
    recipient = spelling.format(domain=partner.domain, DOMAIN=partner.domain.title())
    _assert_waits_and_then_goes_by_tls(lab, partner, recipient)


# The spellings of facts/second-look.md 6 first. IDNA (UTS46) makes all of them the same name.
IDNA_SPELLINGS = {
    "ideographic full stop": lambda name: name.replace(".", "。"),
    "halfwidth ideographic full stop": lambda name: name.replace(".", "｡"),
    "fullwidth letters": lambda name: name.translate({code: code + 0xFEE0 for code in range(ord("a"), ord("z") + 1)}),
    "soft hyphen": lambda name: name[:2] + "\u00ad" + name[2:],
    "zero-width space": lambda name: name[:2] + "\u200b" + name[2:],
    "circled b": lambda name: name.replace("b", "ⓑ"),
    "Kelvin sign": lambda name: name.replace("k", "\u212a"),
    "long s": lambda name: name.replace("s", "ſ"),
    "fullwidth capital": lambda name: name.replace("b", "Ｂ"),
    "as it is": lambda name: name,
    "capitals": str.upper,
    "decomposed": lambda name: name.replace("ä", "a\u0308"),
}


@pytest.mark.parametrize("label", ["bänks", "banks"])
@pytest.mark.parametrize("spelling", IDNA_SPELLINGS)
def test_a_forced_domain_is_recognised_in_every_idna_spelling(
        lab: Lab, forcetls: Forcetls, spelling: str, label: str):
    label += str(next(_numbers))
    a_label = label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")
    partner = lab.partners.add("clear", f"{a_label}.example")
    forcetls.add_row(partner.domain, "encrypt")
    _assert_waits_and_then_goes_by_tls(lab, partner, "user@" + IDNA_SPELLINGS[spelling](f"{label}.example"))


@pytest.mark.parametrize("spelling", ["{domain}", "{DOMAIN}", "{domain}."])
def test_a_forced_domain_is_recognised_by_its_a_label(lab: Lab, forcetls: Forcetls, spelling: str):
    a_label = "xn--" + f"bänks{next(_numbers)}".encode("punycode").decode("ascii")
    partner = lab.partners.add("clear", f"{a_label}.example")
    forcetls.add_row(partner.domain, "encrypt")
    name = spelling.format(domain=partner.domain, DOMAIN=partner.domain.upper())
    _assert_waits_and_then_goes_by_tls(lab, partner, f"user@{name}")


def test_a_name_that_cannot_be_converted_waits_while_there_is_any_row(lab: Lab, forcetls: Forcetls):
    forcetls.add_row(f"any{next(_numbers)}.example", "encrypt")
    smiling = f"😀{next(_numbers)}"
    partner = lab.partners.add("clear", f"xn--{smiling.encode('punycode').decode('ascii')}.example")
    submission = lab.send(f"user@{smiling}.example")
    assert submission.replies[f"user@{smiling}.example"].code == 451, str(submission.replies)
    assert lab.outcome(lab.sendmail(f"user@{smiling}.example")).dsn == "4.7.5"
    assert not partner.messages


# -- sub-domains and address literals --------------------------------------------------------------------------------


@pytest.mark.parametrize("sub", ["sub", "a.b", "one.two.three.four.five"])
def test_a_row_of_a_domain_does_not_cover_its_sub_domains(lab: Lab, forcetls: Forcetls, sub: str):
    domain = f"bank{next(_numbers)}.example"
    forcetls.add_row(domain, "secure")
    lab.partners.add("clear", f"{sub}.{domain}")
    _assert_sent_in_clear(lab, lab.send(f"user@{sub}.{domain}"))


@pytest.mark.parametrize("sub", ["sub", "a.b", "one.two.three.four.five", "SUB", "sübs"])
def test_a_row_with_a_leading_dot_covers_every_sub_domain(lab: Lab, forcetls: Forcetls, sub: str):
    domain = f"bank{next(_numbers)}.example"
    forcetls.add_row("." + domain, "secure")
    partner = lab.partners.add("clear", ("xn--sbs-hoa" if sub == "sübs" else sub) + "." + domain)
    _assert_waits_and_then_goes_by_tls(lab, partner, f"user@{sub}.{domain}")


def test_a_row_with_a_leading_dot_does_not_cover_the_domain_itself(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("clear")
    forcetls.add_row("." + partner.domain, "secure")
    _assert_sent_in_clear(lab, lab.send(partner.address()))


def test_the_nearest_row_decides(lab: Lab, forcetls: Forcetls):
    domain = f"bank{next(_numbers)}.example"
    forcetls.add_row("." + domain, "secure")
    forcetls.add_row(f".open.{domain}", "may")
    forcetls.add_row(f"shut.open.{domain}", "encrypt")
    for name in ("www.open", "shut.open", "www.else"):
        lab.partners.add("clear", f"{name}.{domain}")
    _assert_sent_in_clear(lab, lab.send(f"user@www.open.{domain}"))
    _assert_waits(lab, lab.send(f"user@shut.open.{domain}"))
    _assert_waits(lab, lab.send(f"user@www.else.{domain}"))


def test_the_address_of_a_forced_partner_is_another_next_hop(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("clear")
    literal = f"[{partner.server.address}]"
    forcetls.add_row(partner.domain, "encrypt")
    _assert_sent_in_clear(lab, lab.send(f"user@{literal}"))
    forcetls.add_row(literal, "encrypt")
    _assert_waits_and_then_goes_by_tls(lab, partner, f"user@{literal}")


# -- next hops -------------------------------------------------------------------------------------------------------


def _relay(lab: Lab, port: int = 25) -> PartnerServer:
    """A clear-only relay."""
    hostname = f"relay{next(_numbers)}.isp.example"
    return lab.partners.serve(hostname, lab.partners.behaviour("clear", hostname)[0], port=port)


NEXT_HOPS = {
    "bracketed": ("[{host}]", "[{host}]", 25), "bare": ("{host}", "{host}", 25),
    "bare, by its parent": ("{host}", ".{host_parent}", 25),
    "bracketed with port": ("[{host}]:587", "[{host}]:587", 587),
    "bare with port": ("{host}:587", "{host}:587", 587), "address": ("[{address}]", "[{address}]", 25),
    "address with port": ("[{address}]:2525", "[{address}]:2525", 2525), "capitals": ("[{HOST}]", "[{host}]", 25),
}


def _next_hop(lab: Lab, forcetls: Forcetls, form: str) -> tuple[PartnerServer, str]:
    """A relay with a row at encrypt, and the next hop that main.cf should name."""
    written, key, port = NEXT_HOPS[form]
    relay = _relay(lab, port)
    names = {"host": relay.hostname, "HOST": relay.hostname.upper(), "address": relay.address}
    if "host_parent" in key:
        relay_name = f"sub{next(_numbers)}.{relay.hostname}"
        lab.dns.add_a(relay_name, relay.address)
        names |= {"host": relay_name, "host_parent": relay.hostname}
    forcetls.add_row(key.format(**names), "encrypt")
    return relay, written.format(**names)


def _assert_all_wait_and_then_go_by_tls(
        lab: Lab, relays: dict[str, PartnerServer], sent: dict[str, Submission]) -> None:
    """Every message waits while its relay is clear-only, and goes to that relay by TLS afterwards."""
    for submission in sent.values():
        _assert_waits(lab, submission)
    for form, submission in sent.items():
        _assert_goes_by_tls_when(lab, relays[form], submission)


@pytest.mark.parametrize("form", ["bracketed", "bare", "bracketed with port", "bare with port"])
def test_a_relayhost_is_held_to_its_own_row(lab: Lab, forcetls: Forcetls, form: str):
    relay, next_hop = _next_hop(lab, forcetls, form)
    partner = lab.partners.add("clear")
    forcetls.add_row(partner.domain, "encrypt")
    lab.postfix.set(relayhost=next_hop)
    lab.postfix.reload()
    _assert_all_wait_and_then_go_by_tls(lab, {form: relay}, {form: lab.send(partner.address())})
    assert not partner.messages


@pytest.mark.parametrize("transport", ["smtp", "relay"])
def test_next_hops_in_transport_maps_are_held_to_their_own_rows(lab: Lab, forcetls: Forcetls, transport: str):
    relays, routes, partners = {}, {}, {}
    for form in NEXT_HOPS:
        partners[form] = lab.partners.add("clear")
        forcetls.add_row(partners[form].domain, "encrypt")
        relays[form], next_hop = _next_hop(lab, forcetls, form)
        routes[partners[form].domain] = f"{transport}:{next_hop}"
    lab.postfix.set(transport_maps=lab.postfix.table("transport", routes))
    lab.postfix.reload()
    sent = {form: lab.send(partner.address()) for form, partner in partners.items()}
    _assert_all_wait_and_then_go_by_tls(lab, relays, sent)


def test_next_hops_that_depend_on_the_sender_are_held_to_their_own_rows(lab: Lab, forcetls: Forcetls):
    relays, next_hops, senders = {}, {}, {}
    partner = lab.partners.add("clear")
    forcetls.add_row(partner.domain, "encrypt")
    for number, form in enumerate(NEXT_HOPS):
        senders[form] = f"sender{number}@ours.example"
        relays[form], next_hops[senders[form]] = _next_hop(lab, forcetls, form)
    table = lab.postfix.table("relay_by_sender", next_hops)
    lab.postfix.set(sender_dependent_relayhost_maps=table)
    lab.postfix.reload()
    sent = {form: lab.send(partner.address(), sender=sender) for form, sender in senders.items()}
    _assert_all_wait_and_then_go_by_tls(lab, relays, sent)
    assert not partner.messages


def test_a_transport_without_a_foreign_next_hop_leaves_the_domain_its_row(lab: Lab, forcetls: Forcetls):
    partners = {entry: lab.partners.add("clear") for entry in ("smtp:", "relay:", "smtp:{domain}")}
    for partner in partners.values():
        forcetls.add_row(partner.domain, "encrypt")
    routes = {partner.domain: entry.format(domain=partner.domain) for entry, partner in partners.items()}
    lab.postfix.set(transport_maps=lab.postfix.table("transport", routes))
    lab.postfix.reload()
    for partner in partners.values():
        _assert_waits_and_then_goes_by_tls(lab, partner, partner.address())


def test_a_forced_domain_does_not_leave_by_a_relay_without_a_row(lab: Lab, forcetls: Forcetls):
    relay, partner = _relay(lab), lab.partners.add("good")
    forcetls.add_row(partner.domain, "encrypt")
    lab.postfix.set(relayhost=f"[{relay.hostname}]")
    lab.postfix.reload()
    submission = lab.send(partner.address())
    assert submission.replies[partner.address()].code == 451
    assert f"[{relay.hostname}]" in submission.replies[partner.address()].text
    _assert_sent_in_clear(lab, lab.send("user@elsewhere.example"))


def test_a_relay_without_a_row_takes_what_sendmail_hands_in(lab: Lab, forcetls: Forcetls):
    """A limit of the delivery layer (README, Limits): its key is the next hop; the cure is a row for the relay."""
    relay, partner = _relay(lab), lab.partners.add("good")
    forcetls.add_row(partner.domain, "encrypt")
    lab.postfix.set(relayhost=f"[{relay.hostname}]")
    lab.postfix.reload()
    _assert_sent_in_clear(lab, lab.sendmail(partner.address()))
    forcetls.add_row(f"[{relay.hostname}]", "encrypt")
    _assert_waits(lab, lab.sendmail(partner.address()))


def test_a_fallback_relay_is_held_to_its_own_row(lab: Lab, forcetls: Forcetls):
    relay, partner = _relay(lab), lab.partners.add("clear")
    forcetls.add_row(partner.domain, "encrypt")
    forcetls.add_row(f"[{relay.hostname}]", "encrypt")
    lab.postfix.set(smtp_fallback_relay=f"[{relay.hostname}]")
    lab.postfix.reload()
    submission = lab.send(partner.address())
    _assert_waits(lab, submission)
    _assert_goes_by_tls_when(lab, relay, submission)


# -- several recipients ----------------------------------------------------------------------------------------------


def test_recipients_that_are_not_forced_get_the_message_at_once(lab: Lab, forcetls: Forcetls):
    forced, free, good = lab.partners.add("clear"), lab.partners.add("clear"), lab.partners.add("good")
    forcetls.add_row(forced.domain, "secure")
    forcetls.add_row(good.domain, "secure")
    lab.forget_local_mail()
    submission = lab.send(forced.address(), free.address(), good.address(), "alice@ours.example")
    assert all(reply.code == 250 for reply in submission.replies.values())
    assert lab.outcome(submission, forced.address()).dsn == "4.7.4"
    for recipient in (free.address(), good.address(), "alice@ours.example"):
        assert lab.outcome(submission, recipient).status == "sent"
    assert free.received(submission.token)[0].in_clear
    assert good.received(submission.token)[0].tls_version == "TLSv1.3"
    assert any(submission.token in message for message in lab.local_mail(ALICE))
    assert not forced.saw_in_clear(submission.token) and not forced.messages


def test_many_recipients_are_judged_each_for_itself(lab: Lab, forcetls: Forcetls):
    forced, free, good = lab.partners.add("clear"), lab.partners.add("clear"), lab.partners.add("good")
    forcetls.add_row(forced.domain, "encrypt")
    forcetls.add_row(good.domain, "encrypt")
    recipients = [partner.address(f"user{number}") for number in range(60) for partner in (forced, free, good)]
    submission = lab.send(*recipients)
    outcomes = {recipient: lab.outcome(submission, recipient) for recipient in recipients}
    for recipient, outcome in outcomes.items():
        assert outcome.status == ("deferred" if recipient.endswith(forced.domain) else "sent"), str(outcome)
    for partner, in_clear in ((free, True), (good, False)):
        got = partner.received(submission.token)
        assert {message.in_clear for message in got} == {in_clear}
        assert sorted(taken for message in got for taken in message.recipients) == sorted(
            recipient for recipient in recipients if recipient.endswith(partner.domain))
    assert not forced.saw_in_clear(submission.token) and not forced.messages


# -- rows that do not act, suspensions, settings ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["off", "test"])
def test_a_row_acts_only_in_mode_enforce(lab: Lab, forcetls: Forcetls, mode: str):
    partner = lab.partners.add("clear")
    forcetls.add_row(partner.domain, "secure", mode=mode)
    _assert_sent_in_clear(lab, lab.send(partner.address()))
    forcetls.set_policy(f"UPDATE domain_policy SET mode = 'enforce' WHERE domain = '{partner.domain}'")
    forcetls.wait_for_answer("tls", partner.domain, "OK secure")
    _assert_waits(lab, lab.send(partner.address()))


def _suspend(forcetls: Forcetls, domain: str, level: str, start: str) -> None:
    forcetls.set_policy(
        "INSERT INTO suspension(domain, level, starts_at, ends_at, reason) VALUES "
        f"('{domain}', '{level}', datetime('now', '{start}'), datetime('now', '+2 hours'), 'a test')")


def test_a_suspension_begins_and_ends_by_itself(lab: Lab, forcetls: Forcetls):
    to_encrypt, still_clear, to_may = (lab.partners.add(kind) for kind in ("expired", "clear", "clear"))
    to_come = lab.partners.add("clear")
    for partner in (to_encrypt, still_clear, to_may, to_come):
        forcetls.add_row(partner.domain, "secure")
    _suspend(forcetls, to_come.domain, "may", "+1 hours")
    untrusted = [lab.send(to_encrypt.address())]
    assert "not verified" in lab.outcome(untrusted[0]).text

    for partner, level in ((to_encrypt, "encrypt"), (still_clear, "encrypt"), (to_may, "may")):
        _suspend(forcetls, partner.domain, level, "+2 seconds")
    forcetls.wait_for_answer("tls", to_encrypt.domain, "OK encrypt")
    forcetls.wait_for_answer("tls", still_clear.domain, "OK encrypt")
    forcetls.wait_for_answer("tls", to_may.domain, "OK may")
    untrusted.append(lab.send(to_encrypt.address()))
    assert lab.outcome(untrusted[1]).status == "sent"
    _assert_waits(lab, lab.send(still_clear.address()))
    _assert_sent_in_clear(lab, lab.send(to_may.address()))
    _assert_waits(lab, lab.send(to_come.address()))

    forcetls.set_policy("UPDATE suspension SET ends_at = datetime('now', '+2 seconds') WHERE "
                        f"domain IN ('{to_encrypt.domain}', '{still_clear.domain}', '{to_may.domain}')")
    for partner in (to_encrypt, still_clear, to_may):
        forcetls.wait_for_answer("tls", partner.domain, "OK secure")
    untrusted.append(lab.send(to_encrypt.address()))
    assert "not verified" in lab.outcome(untrusted[2]).text
    _assert_waits(lab, lab.send(to_may.address()))
    assert [message.tls_version for message in to_encrypt.messages] == ["TLSv1.3"]
    for submission in untrusted:
        lab.assert_never_in_clear(submission.token)


def test_default_outbound_encrypt_forces_every_domain_without_a_row(lab: Lab, forcetls: Forcetls):
    free, open_by_row, off = (lab.partners.add("clear") for _ in range(3))
    good, untrusted = lab.partners.add("good"), lab.partners.add("unknown-ca")
    forcetls.add_row(open_by_row.domain, "may")
    forcetls.add_row(off.domain, "secure", mode="off")
    forcetls.set_policy("UPDATE setting SET value = 'encrypt' WHERE name = 'default_outbound'")
    forcetls.wait_for_answer("default", free.domain, "OK encrypt")
    _assert_waits(lab, lab.send(free.address()))
    _assert_waits(lab, lab.send(off.address()))
    _assert_sent_in_clear(lab, lab.send(open_by_row.address()))
    for partner in (good, untrusted):
        assert lab.outcome(lab.send(partner.address())).status == "sent"
        assert partner.messages[0].tls_version == "TLSv1.3"
    assert lab.outcome(lab.send("alice@ours.example")).status == "sent"


def test_unlisted_relay_encrypt_forces_next_hops_without_a_row_but_not_loopback(lab: Lab, forcetls: Forcetls):
    relay, listed, free = _relay(lab), _relay(lab), lab.partners.add("clear")
    behaviour, _ = lab.partners.behaviour("clear", "localhost")
    on_loopback = PartnerServer("localhost", socket.create_server(("127.0.0.1", 0)), behaviour)
    forcetls.add_row(f"[{listed.hostname}]:25", "may")
    forcetls.set_policy("UPDATE setting SET value = 'encrypt' WHERE name = 'unlisted_relay'")
    forcetls.wait_for_answer("default", f"[{relay.hostname}]", "OK encrypt")
    routes = {"unlisted.example": f"smtp:[{relay.hostname}]", "listed.example": f"smtp:[{listed.hostname}]:25",
              "looped.example": f"smtp:[127.0.0.1]:{on_loopback.port}"}
    lab.postfix.set(transport_maps=lab.postfix.table("transport", routes))
    lab.postfix.reload()
    _assert_waits(lab, lab.send("user@unlisted.example"))
    _assert_sent_in_clear(lab, lab.send("user@listed.example"))
    _assert_sent_in_clear(lab, lab.send(free.address()))
    assert lab.outcome(lab.send("user@looped.example")).status == "sent"
    assert on_loopback.messages[0].in_clear
    on_loopback.close()
