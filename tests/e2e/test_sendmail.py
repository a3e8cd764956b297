"""A real Sendmail with packaging/sendmail/forcetls.m4 keeps the rows that it can keep, and lets nothing else out."""

import ipaddress
import itertools
import re
import signal

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.host_files import CA_STORE
from lab.lab import Lab
from lab.message import compose
from lab.sendmail import Sendmail
from lab.site_services import FaultyMap
from rows import add_row
from sendmail_site import NEEDS_SENDMAIL, attempt, fate, fate_of_mail
from sendmail_table import CERTIFICATE, DIGEST, HANDSHAKE, NO_ANSWER, NO_TLS

_numbers = itertools.count(1)

pytestmark = NEEDS_SENDMAIL


def _start(lab: Lab, map_address: str, features: str = "") -> Sendmail:
    directory = lab.directory / f"sendmail-{next(_numbers)}"
    return Sendmail(directory, CA_STORE, map_address, features)


@pytest.fixture(name="sendmail")
def _sendmail(lab: Lab, forcetls: Forcetls) -> Sendmail:
    """A Sendmail of its own for each test, bolted onto the lab's policyd."""
    return _start(lab, forcetls.map_address)


# (partner, outbound, further columns, what becomes of mail); MX and DOMAIN stand for the partner's names.
KEPT = [
    ("good", "encrypt", {}, "TLSv1.3"),
    ("good", "verify", {}, "TLSv1.3"),
    ("good", "secure", {"match": "MX"}, "TLSv1.3"),
    ("tls1.2", "encrypt", {}, "TLSv1.2"),
    ("self-signed", "encrypt", {}, "TLSv1.3"),
    ("wrong-name", "encrypt", {}, "TLSv1.3"),
    ("outsourced", "secure", {"match": "MX"}, "TLSv1.3"),
    ("domain-certificate", "secure", {"match": "DOMAIN"}, "TLSv1.3"),
    ("domain-certificate", "verify", {"match": "DOMAIN"}, "TLSv1.3"),
    ("clear-then-good", "encrypt", {}, "TLSv1.3"),
    ("refused-454-then-good", "encrypt", {}, "TLSv1.3"),
    ("clear", "may", {}, "CLEAR"),
    ("clear", "none", {}, "CLEAR"),
    ("clear", "secure", {"mode": "test"}, "CLEAR"),
    ("good", "may", {}, "TLSv1.3"),
]
HELD = [
    ("clear", "encrypt", {}, NO_TLS),
    ("clear", "verify", {}, NO_TLS),
    ("clear", "secure", {"match": "MX"}, NO_TLS),
    ("refused-454", "encrypt", {}, NO_TLS),
    ("refused-502", "encrypt", {}, NO_TLS),
    ("clear-then-clear", "encrypt", {}, NO_TLS),
    ("alert", "encrypt", {}, HANDSHAKE),
    ("garbage", "encrypt", {}, HANDSHAKE),
    ("close", "encrypt", {}, HANDSHAKE),
    ("drop", "encrypt", {}, HANDSHAKE),
    ("hang", "encrypt", {}, HANDSHAKE),
    ("anonymous", "encrypt", {}, HANDSHAKE),
    ("tls1.0", "encrypt", {}, HANDSHAKE),
    ("tls1.1", "encrypt", {"min_protocol": "TLSv1"}, HANDSHAKE),
    ("self-signed", "verify", {}, CERTIFICATE),
    ("expired", "verify", {}, CERTIFICATE),
    ("unknown-ca", "secure", {"match": "MX"}, CERTIFICATE),
    ("wrong-name", "verify", {}, CERTIFICATE),
    ("good", "secure", {"match": "mx.elsewhere.example"}, CERTIFICATE),
    ("good", "verify", {"match": "mx.elsewhere.example"}, CERTIFICATE),
    ("clear-then-self-signed", "verify", {}, f"{NO_TLS}|{CERTIFICATE}"),
]
REFUSED = [
    ("secure", {}), ("secure", {"match": ".DOMAIN"}), ("secure", {"match": "MX:mx9.DOMAIN"}),
    ("secure", {"match": "nexthop:dot-nexthop"}), ("verify", {"match": "MX:DOMAIN"}),
    ("fingerprint", {"match": DIGEST}), ("dane", {}), ("dane-only", {}),
    ("encrypt", {"min_protocol": "TLSv1.3"}), ("encrypt", {"exclude": "3DES"}),
]


def _with_row(lab: Lab, forcetls: Forcetls, kind: str, outbound: str, columns: dict[str, str]) -> Partner:
    partner = lab.partners.add(kind)
    match = {"match": columns["match"].replace("MX", partner.server.hostname).replace("DOMAIN", partner.domain)
             } if "match" in columns else {}
    forcetls.add_row(partner.domain, outbound, **{**columns, **match})
    return partner


def _named(case: tuple) -> str:
    return "-".join(str(part) for part in case[:2]) + "".join(f"-{name}" for name in case[2])


@pytest.mark.parametrize("case", KEPT, ids=_named)
def test_mail_leaves_as_the_row_demands_where_the_partner_can_do_it(
        lab: Lab, forcetls: Forcetls, sendmail: Sendmail, case: tuple):
    kind, outbound, columns, want = case
    partner = _with_row(lab, forcetls, kind, outbound, columns)
    assert fate_of_mail(lab, sendmail, partner) == want


@pytest.mark.parametrize("case", HELD, ids=_named)
def test_mail_waits_where_the_partner_cannot_do_what_the_row_demands(
        lab: Lab, forcetls: Forcetls, sendmail: Sendmail, case: tuple):
    kind, outbound, columns, why = case
    partner = _with_row(lab, forcetls, kind, outbound, columns)
    assert re.search(why, fate_of_mail(lab, sendmail, partner))
    assert not partner.messages


@pytest.mark.parametrize("outbound, columns", REFUSED)
def test_a_row_that_sendmail_cannot_keep_holds_mail_even_for_a_good_partner(
        lab: Lab, forcetls: Forcetls, sendmail: Sendmail, outbound: str, columns: dict[str, str]):
    partner = _with_row(lab, forcetls, "good", outbound, columns)
    try:
        assert forcetls.lookup("sendmail", partner.domain).startswith("TEMP Sendmail cannot keep ")
        assert re.search(NO_ANSWER, fate_of_mail(lab, sendmail, partner))
        assert not partner.messages
    finally:  # Rows at a DANE level would change what setup wants for Postfix in later tests.
        forcetls.set_policy(f"DELETE FROM domain_policy WHERE domain = '{partner.domain}'")


@pytest.mark.parametrize("kind, want", [("clear", "CLEAR"), ("refused-454", "CLEAR"), ("good", "TLSv1.3")])
def test_without_a_row_nothing_changes(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, kind: str, want: str):
    del forcetls
    assert fate_of_mail(lab, sendmail, lab.partners.add(kind)) == want


def test_a_default_holds_for_domains_without_a_row(lab: Lab, forcetls: Forcetls, sendmail: Sendmail):
    forcetls.set_policy("UPDATE setting SET value = 'encrypt' WHERE name = 'default_outbound'")
    partner = lab.partners.add("clear")
    forcetls.wait_for_answer("sendmail", partner.domain, "OK TEMP+ENCR:128")
    assert re.search(NO_TLS, fate_of_mail(lab, sendmail, partner))


def test_a_row_counts_from_the_next_attempt_on(lab: Lab, forcetls: Forcetls, sendmail: Sendmail):
    partner = lab.partners.add("clear")
    assert fate_of_mail(lab, sendmail, partner) == "CLEAR"
    forcetls.add_row(partner.domain, "encrypt")
    message, first = attempt(lab, sendmail, partner)
    assert re.search(NO_TLS, first)
    lab.partners.change(partner, "self-signed")
    said = sendmail.retry()
    assert fate(lab, sendmail, partner, message, said) == "TLSv1.3"
    lab.assert_never_in_clear(message.token)


def test_each_recipient_of_a_message_is_judged_for_itself(lab: Lab, forcetls: Forcetls, sendmail: Sendmail):
    forced, free = lab.partners.add("clear"), "beside-forced.example"
    lab.dns.add_mx(free, forced.server.hostname)
    forcetls.add_row(forced.domain, "encrypt")
    message = compose()
    sendmail.send(message, f"u@{free}", forced.address(), f"v@{free}")
    sendmail.retry()
    recipients = {recipient for received in forced.received(message.token) for recipient in received.recipients}
    assert recipients == {f"u@{free}", f"v@{free}"}
    assert re.search(NO_TLS, sendmail.waiting(forced.address()))


@pytest.mark.parametrize("verb", ["RCPT", "MAIL"])
def test_a_recipient_that_bounces_does_not_take_the_forced_one_with_it(
        lab: Lab, forcetls: Forcetls, sendmail: Sendmail, verb: str):
    refusing = lab.partners.add("clear", replies={verb: "550 5.1.1 no such user"})
    forced = _with_row(lab, forcetls, "clear", "encrypt", {})
    message = compose()
    sendmail.send(message, refusing.address(), forced.address())
    sendmail.retry()
    assert refusing.sessions and not sendmail.waiting(refusing.address())
    assert re.search(NO_TLS, sendmail.waiting(forced.address()))
    assert not forced.messages


def test_a_forged_alias_does_not_lead_mail_to_another_domains_row(
        lab: Lab, forcetls: Forcetls, sendmail: Sendmail):
    stranger, domain = lab.partners.add("clear"), "aliased-victim.example"
    lab.dns.add_cname(domain, stranger.domain)
    forcetls.add_row(domain, "encrypt")
    message = compose()
    sendmail.send(message, f"u@{domain}")
    assert re.search(NO_TLS, sendmail.waiting(f"u@{domain}"))
    assert not stranger.messages
    lab.assert_never_in_clear(message.token)


# Those that no row names: mail waits whatever the partner can do, or Sendmail gives it back.
ODD_SPELLINGS = {
    'u@"{domain}"', "u@{escaped}", "u@[{escaped_mx}]", "u@[{hexadecimal}]", "u@[{number}]", "u@[IPv6:::ffff:{address}]",
    "u@[::ffff:{address}]", "u@{address}", "u@{number}"}


@pytest.mark.parametrize("spelling", [
    "u@{domain}.", "u@{upper}", "{domain}!u", "u%{domain}", "<@elsewhere.example:u@{domain}>", '"a b"@{domain}',
    '"u@elsewhere.example"@{domain}', '"<NONE>"@{domain}', "u@{domain}(NONE)", "a/b@{domain}", "u@{domain}.uucp",
    "u@[{address}]", "u@[{domain}]", "u@[{mx}]", *sorted(ODD_SPELLINGS)])
def test_no_spelling_of_a_recipient_goes_round_the_row(
        lab: Lab, forcetls: Forcetls, sendmail: Sendmail, spelling: str):
    partner = _with_row(lab, forcetls, "clear", "encrypt", {})
    address = partner.server.address
    forcetls.add_row(f"[{address}]", "encrypt")
    forcetls.add_row(f".{partner.domain}", "encrypt")
    lab.dns.add_a(partner.domain, address)
    number, mx = int(ipaddress.ip_address(address)), partner.server.hostname
    recipient = spelling.format(
        domain=partner.domain, upper=partner.domain.upper(), address=address, mx=mx, number=number,
        escaped=f"\\{ord(partner.domain[0]):03d}{partner.domain[1:]}", escaped_mx=f"\\{ord(mx[0]):03d}{mx[1:]}",
        hexadecimal=f"0x{number >> 24:x}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
    message = compose()
    said = sendmail.send(message, recipient)
    if spelling in ODD_SPELLINGS:
        assert re.search(f"{NO_ANSWER}|{NO_TLS}", sendmail.waiting(recipient)) or "MAILER-DAEMON" in said
    else:
        assert re.search(NO_TLS, sendmail.waiting(recipient))
    assert not partner.messages
    lab.assert_never_in_clear(message.token)


# As somebody writes them who knows what Sendmail makes of them: by each, mail reaches the partner.
REACHING_SPELLINGS = [
    "U@{title}", "u+x@{domain}", "<@a.example,@b.example:u@{domain}>", "@mail.ours.example:u@{domain}", "g:u@{domain};",
    "u@{domain};", "u%{domain}@mail.ours.example", "u%{domain}%mail.ours.example", "{domain}!u@mail.ours.example",
    "mail.ours.example!{domain}!u", "{domain}!u.uucp@mail.ours.example", '"u@{domain}"@mail.ours.example',
    '"u%{domain}"@mail.ours.example', "u@{domain}..", "u@{domain}...", "u@{domain}\\.", "u@{domain}.\\", "u@{domain}.(x)",
    "u@(x){domain}", "u@{first}.(x)example", 'u@"{first}".example', 'u@{first}.ex"am"ple', "u@[{domain}.]"]


@pytest.mark.parametrize("feature", ["", "FEATURE(`nocanonify')dnl"], ids=["canonified", "as written"])
def test_no_spelling_by_which_mail_reaches_a_partner_goes_round_the_row(lab: Lab, forcetls: Forcetls, feature: str):
    sendmail = _start(lab, forcetls.map_address, feature)
    for spelling in REACHING_SPELLINGS:
        partner = lab.partners.add("clear")
        lab.dns.add_a(partner.domain, partner.server.address)
        recipient = spelling.format(domain=partner.domain, title=partner.domain.title(),
                                    first=partner.domain.removesuffix(".example"))
        free, forced = compose(), compose()
        sendmail.send(free, recipient)
        assert partner.received(free.token), spelling
        forcetls.add_row(partner.domain, "encrypt")
        sendmail.send(forced, recipient)
        assert re.search(NO_TLS, sendmail.mailq()), spelling
        lab.assert_never_in_clear(forced.token)
        sendmail.empty_queue()


@pytest.mark.parametrize("fault", ["killed", "hanging"])
def test_while_policyd_does_not_answer_all_mail_waits_and_then_flows(
        lab: Lab, forcetls: Forcetls, sendmail: Sendmail, fault: str):
    partners = [_with_row(lab, forcetls, "good", "encrypt", {}), lab.partners.add("good"), lab.partners.add("clear")]
    if fault == "killed":
        forcetls.policyd.kill()
    else:
        forcetls.policyd.signal(signal.SIGSTOP)
    try:
        messages = []
        for partner in partners:
            message, first = attempt(lab, sendmail, partner)
            assert re.search(NO_ANSWER, first)
            messages.append(message)
    finally:
        if fault == "killed":
            forcetls.start_policyd()
        else:
            forcetls.policyd.signal(signal.SIGCONT)
    said = sendmail.retry()
    assert [fate(lab, sendmail, partner, message, said) for partner, message in zip(partners, messages)] == [
        "TLSv1.3", "TLSv1.3", "CLEAR"]


def test_with_a_policy_that_cannot_be_read_all_mail_waits_and_then_flows(
        lab: Lab, forcetls: Forcetls, sendmail: Sendmail):
    partner = _with_row(lab, forcetls, "good", "encrypt", {})
    aside = forcetls.policy_db.with_suffix(".aside")
    forcetls.policyd.kill()
    forcetls.policy_db.rename(aside)
    try:
        forcetls.start_policyd()
        message, first = attempt(lab, sendmail, partner)
        assert re.search(NO_ANSWER, first)
    finally:
        aside.rename(forcetls.policy_db)
    forcetls.wait_for_answer("sendmail", partner.domain, "OK TEMP+ENCR:128", 20)
    said = sendmail.retry()
    assert fate(lab, sendmail, partner, message, said) == "TLSv1.3"


def test_the_milter_keeps_the_inbound_rule_and_mail_waits_while_it_is_down(lab: Lab, forcetls: Forcetls):
    milter = f"INPUT_MAIL_FILTER(`forcetls', `S={forcetls.milter_address}, F=T, T=S:4m;R:4m;E:10m')dnl"
    sendmail = _start(lab, forcetls.map_address, milter)
    partner, free = add_row(lab, forcetls, "good", inbound="encrypt"), lab.partners.add("good")
    session = ["EHLO client.example", f"MAIL FROM:<a@{partner.domain}>", f"MAIL FROM:<a@{free.domain}>"]
    assert [reply[:9] for reply in sendmail.speak(*session)[1:]] == ["451 4.7.4", "250 2.1.0"]
    forcetls.milter.kill()
    assert [reply[:3] for reply in sendmail.speak(*session)[1:]] == ["451", "451"]


@pytest.mark.parametrize("answer", [
    "NOTFOUND ", "PERM no", "TEMP no", "TIMEOUT no", "ok NONE", "OK ", "OK rubbish", "OK NONE NONE", "OK <NONE>",
    "OK ENCR:128", "OK TEMP+ENCR", "OK TEMP+ENCR:1", "OK PERM+ENCR:128", "OK TEMP+VERIFY", "OK TEMP+VERIFY:128",
    "OK TEMP+VERIFY:128+CN:", "OK TEMP+VERIFY:128+CN++CI", "OK TEMP+ENCR:128 x", "OK encrypt protocols=!SSLv2"])
def test_an_answer_that_the_ruleset_does_not_know_holds_mail(lab: Lab, answer: str):
    service = FaultyMap()
    try:
        sendmail = _start(lab, service.sendmail_address)
        service.answer = "OK NONE"
        assert fate_of_mail(lab, sendmail, lab.partners.add("clear")) == "CLEAR"
        service.answer = answer
        partner = lab.partners.add("good")
        message, first = attempt(lab, sendmail, partner)
        assert sendmail.waiting(partner.address()), first
        assert not partner.received(message.token)
    finally:
        service.close()


@pytest.mark.parametrize("feature", ["FEATURE(`access_db', `hash -T<TMPF> -o /nonexistent')dnl",
                                     "FEATURE(`check_cert_altnames')dnl", "FEATURE(`nocanonify')dnl"])
def test_the_rows_hold_beside_other_features(lab: Lab, forcetls: Forcetls, feature: str):
    sendmail = _start(lab, forcetls.map_address, feature)
    for kind, outbound, columns, why in [("clear", "encrypt", {}, NO_TLS),
                                         ("wrong-name", "verify", {}, CERTIFICATE),
                                         ("good", "secure", {"match": "mx.elsewhere.example"}, CERTIFICATE),
                                         ("good", "secure", {"match": "MX"}, "^TLSv1.3$")]:
        partner = _with_row(lab, forcetls, kind, outbound, columns)
        assert re.search(why, fate_of_mail(lab, sendmail, partner))
