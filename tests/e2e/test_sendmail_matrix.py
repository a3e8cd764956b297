"""Every level against every kind of partner on a real Sendmail, several recipients, and a policyd that is not well."""

import itertools
import re

import pytest

from lab.forcetls import Forcetls
from lab.host_files import CA_STORE
from lab.lab import Lab
from lab.message import compose
from lab.sendmail import Sendmail
from lab.site_services import BrokenMap
from sendmail_site import NEEDS_SENDMAIL, fate_of_mail
from sendmail_table import CERTIFICATE, CLEAR, LEVELS, NO_TLS, PARTNERS, TLS, expected, row_of

_numbers = itertools.count(1)

pytestmark = NEEDS_SENDMAIL


@pytest.fixture(scope="module", name="shared_sendmail")
def _shared_sendmail(shared_lab: Lab, shared_forcetls: Forcetls) -> Sendmail:
    return Sendmail(shared_lab.directory / "sendmail-matrix", CA_STORE, shared_forcetls.map_address)


@pytest.fixture(name="sendmail")
def _sendmail(forcetls: Forcetls, shared_sendmail: Sendmail) -> Sendmail:
    """One for all, its queue empty."""
    del forcetls
    shared_sendmail.empty_queue()
    return shared_sendmail


@pytest.mark.parametrize("kind", PARTNERS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_level_holds_against_a_partner(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, level: str, kind: str):
    partner = lab.partners.add(kind)
    row = row_of(level, partner.servers[-1].hostname)
    try:
        if row:
            forcetls.add_row(partner.domain, **row)
        assert re.search(expected(level, kind), fate_of_mail(lab, sendmail, partner))
    finally:  # Rows at a DANE level would change what setup wants for Postfix in later tests.
        forcetls.set_policy(f"DELETE FROM domain_policy WHERE domain = '{partner.domain}'")


@pytest.mark.parametrize("kind, want", [("good", {"TLSv1.3"}), ("clear", set())])
def test_two_forced_recipients_of_a_domain_go_the_same_way(
        lab: Lab, forcetls: Forcetls, sendmail: Sendmail, kind: str, want: set[str]):
    partner, message = lab.partners.add(kind), compose()
    forcetls.add_row(partner.domain, "verify")
    recipients = [partner.address("one"), partner.address("two")]
    sendmail.send(message, *recipients)
    sendmail.retry()
    assert {received.tls_version for received in partner.received(message.token)} == want
    for recipient in recipients:
        assert bool(sendmail.waiting(recipient)) == (not want)


def test_a_connection_that_is_kept_in_clear_carries_no_forced_mail(lab: Lab, forcetls: Forcetls, sendmail: Sendmail):
    """In one queue run: a clear session, one over TLS, then forced mail to the first server, whose session is open."""
    clear, good, forced = lab.partners.add("clear"), lab.partners.add("good"), "kept-connection.example"
    lab.dns.add_mx(forced, clear.server.hostname)
    forcetls.add_row(forced, "encrypt")
    forcetls.policyd.kill()
    order = [clear.address("a"), good.address("a"), f"a@{forced}", good.address("b"), f"b@{forced}", clear.address("b")]
    for recipient in order:
        sendmail.send(compose(), recipient)
        assert sendmail.waiting(recipient)
    forcetls.start_policyd()
    sendmail.retry()
    assert {name for received in clear.messages for name in received.recipients} == {clear.address("a"),
                                                                                    clear.address("b")}
    for recipient in (f"a@{forced}", f"b@{forced}"):
        assert re.search(NO_TLS, sendmail.waiting(recipient))


@pytest.mark.parametrize("kind", ["clear", "good"])
@pytest.mark.parametrize("reply", [
    b"", b"7:OK NO", b"OK NONE", b"x:OK NONE,", b"7:OK NONE;", b"999999:OK NONE,", b"0:,"],
    ids=["hangs up", "half", "no netstring", "no length", "no comma", "too long", "empty"])
def test_with_a_broken_policyd_no_mail_leaves(lab: Lab, forcetls: Forcetls, reply: bytes, kind: str):
    """Some of it bounces, as Sendmail makes of a malformed answer, which policyd never gives."""
    del forcetls
    service = BrokenMap(reply)
    try:
        sendmail = Sendmail(lab.directory / f"sendmail-broken-{next(_numbers)}", CA_STORE, service.sendmail_address)
        partner, message = lab.partners.add(kind), compose()
        sendmail.send(message, partner.address())
        assert not partner.messages
        assert sendmail.waiting(partner.address()) or reply
        lab.assert_never_in_clear(message.token)
    finally:
        service.close()


def test_recipients_with_u_labels_never_leave_and_those_with_a_labels_are_held_to_the_row(
        lab: Lab, forcetls: Forcetls, sendmail: Sendmail):
    partner = lab.partners.add("clear", domain="xn--bnk-sendmail-gcb.example")
    forcetls.add_row(partner.domain, "encrypt")
    message = compose()
    for recipient in (partner.address(), "user@b\u00e4nk-sendmail.example", "user@B\u00c4NK-sendmail.example"):
        sendmail.send(message, recipient)
    assert re.search(NO_TLS, sendmail.waiting(partner.address()))
    assert not partner.messages
    lab.assert_never_in_clear(message.token)


LMTP = """#!/usr/bin/python3
import sys

def say(*lines):
    sys.stdout.write("".join(line + "\\r\\n" for line in lines))
    sys.stdout.flush()

say("220 here LMTP")
recipients, text = 0, None
for line in map(str.rstrip, sys.stdin):
    if text is not None and line == ".":
        open(sys.argv[1], "a").write("\\n".join(text))
        say(*["250 2.0.0 ok"] * recipients)
        recipients, text = 0, None
    elif text is not None:
        text.append(line)
    elif line[:4].upper() == "LHLO":
        say("250-here", "250 8BITMIME")
    elif line[:4].upper() == "DATA":
        text = []
        say("354 go on")
    else:
        recipients += line[:4].upper() == "RCPT"
        say("250 2.0.0 ok")
        if line[:4].upper() == "QUIT":
            break
"""


def test_local_mail_by_lmtp_arrives_also_while_policyd_is_down(lab: Lab, forcetls: Forcetls):
    number = next(_numbers)
    program, mailbox = lab.directory / f"lmtp-{number}", lab.directory / f"mailbox-{number}"
    program.write_text(LMTP, encoding="ascii")
    program.chmod(0o755)
    mailbox.touch()
    mailbox.chmod(0o666)
    sendmail = Sendmail(lab.directory / f"sendmail-lmtp-{number}", CA_STORE, forcetls.map_address,
                        f"FEATURE(`local_lmtp', `{program}', `lmtp {mailbox}')dnl\n"
                        "LOCAL_DOMAIN(`lmtp-ours.example')dnl",
                        edit=lambda text: text.replace("P=/bin/false", f"P={program}"))
    forcetls.add_row("lmtp-ours.example", "encrypt")
    forcetls.policyd.kill()
    message = compose()
    sendmail.send(message, "root@lmtp-ours.example")
    assert message.token in mailbox.read_bytes() and not sendmail.waiting("root@lmtp-ours.example")


# (partner, level, what becomes of mail) with confDANE, which is off by default.
BESIDE_DANE = [
    ("dane", None, TLS), ("dane", "encrypt", TLS), ("dane", "verify", TLS),
    ("dane-bad", None, "DANE check failed"), ("dane-bad", "encrypt", "verify=DANE_FAIL"),
    ("dane-bad", "verify", "verify=DANE_FAIL"), ("clear", None, CLEAR), ("clear", "encrypt", NO_TLS),
    ("wrong-name", "verify", CERTIFICATE), ("self-signed", "encrypt", TLS), ("self-signed", "verify", CERTIFICATE),
]


def test_rows_hold_beside_tlsa_records_where_sendmail_looks_at_them(
        lab: Lab, forcetls: Forcetls, shared_sendmail: Sendmail):
    if shared_sendmail.version.startswith("8.17."):
        pytest.skip("Debian's Sendmail 8.17 knows no TLSA records")
    sendmail = Sendmail(lab.directory / "sendmail-dane", CA_STORE, forcetls.map_address,
                        "define(`confDANE', `true')dnl")
    for kind, level, want in BESIDE_DANE:
        partner = lab.partners.add(kind)
        if level is not None:
            forcetls.add_row(partner.domain, level)
        assert re.search(want, fate_of_mail(lab, sendmail, partner)), (kind, level)


def test_mail_by_lmtp_over_the_network_is_held_to_the_row_too(lab: Lab, forcetls: Forcetls):
    forced, free = lab.partners.add("lmtp"), lab.partners.add("lmtp")
    forcetls.add_row(forced.domain, "encrypt")
    rules = "".join(f"R$* < @ {partner.domain} . > $*\t$#netlmtp $@ [{partner.server.address}] "
                    f"$: $1 < @ {partner.domain} . > $2\n" for partner in (forced, free))
    mailer = ("MAILER_DEFINITIONS\nMnetlmtp,\tP=[IPC], F=mDFMuXz, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\r\\n,\n"
              "\t\tT=DNS/RFC822/SMTP, A=TCP $h\n")
    sendmail = Sendmail(lab.directory / "sendmail-netlmtp", CA_STORE, forcetls.map_address,
                        before_ours=f"LOCAL_RULE_0\n{rules}{mailer}")
    assert re.search(NO_TLS, fate_of_mail(lab, sendmail, forced))
    assert fate_of_mail(lab, sendmail, free) == "CLEAR"
