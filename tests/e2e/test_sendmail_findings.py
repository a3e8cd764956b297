"""Findings of `forcetls doctor --mta sendmail` that need more than a changed sendmail.cf to be seen: a daemon, other
servers, a client with a certificate. As in test_sendmail_doctor.py: real, named, and closed by the fix."""

import re
from pathlib import Path
from typing import Iterator

import pytest

from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.message import Message, compose
from lab.network import STRANGER
from lab.sendmail import Inetd, Sendmail
from lab.sendmail_daemon import SendmailDaemon
from lab.site_services import Milter, TlsPolicyResolver
from lab.waiting import wait_for
from rows import add_row, settle
from sendmail_site import NEEDS_SENDMAIL, doctor, fate_of_mail, start_site
from sendmail_table import NO_TLS

OURS = "root@mail.ours.example"
SENDER = "alice@ours.example"
DEADLINE_S = 60

pytestmark = NEEDS_SENDMAIL


def _named(forcetls: Forcetls, sendmail: Sendmail, finding: str, program: Path | None = None) -> set[str]:
    """The severities at which doctor names the finding."""
    return {found["severity"] for found in doctor(forcetls, sendmail, program)[1] if found["id"] == finding}


def _with_server_certificate(lab: Lab, more: str) -> str:
    """Lines of sendmail.mc."""
    server = lab.pki.good("mail.ours.example")
    server.key_file.chmod(0o600)  # Sendmail uses no key that others can read
    return (f"define(`confSERVER_CERT', `{server.cert_file}')dnl\ndefine(`confSERVER_KEY', `{server.key_file}')dnl\n"
            f"{more}")


@pytest.fixture(name="daemon")
def _daemon(lab: Lab, forcetls: Forcetls) -> Iterator[SendmailDaemon]:
    """Not started yet."""
    del forcetls
    daemon = SendmailDaemon(lab.directory / "forcetls")
    yield daemon
    daemon.stop()


def _hand_in(lab: Lab, daemon: SendmailDaemon, recipient: str) -> Message:
    with lab.client(port=daemon.port) as client:
        submission = client.send(OURS, [recipient])
        assert submission.end_of_data.code == 250
        client.quit()
    return submission.message


def test_a_daemon_that_has_not_read_the_new_sendmail_cf_goes_by_the_old_one(
        lab: Lab, forcetls: Forcetls, daemon: SendmailDaemon):
    partner = add_row(lab, forcetls, "clear")
    sendmail = start_site(lab, forcetls, daemon.features(), edit=lambda text: text.replace("Stls_rcpt", "Sold_rcpt"))
    daemon.start(sendmail)
    assert not _named(forcetls, sendmail, "stale-daemon")
    sendmail.make()
    assert not _named(forcetls, sendmail, "ruleset-missing")
    message = _hand_in(lab, daemon, partner.address())
    wait_for(lambda: partner.received(message.token), DEADLINE_S, "the message", sendmail.mailq)
    assert partner.messages[0].in_clear and _named(forcetls, sendmail, "stale-daemon") == {"leak"}
    daemon.hang_up()
    message = _hand_in(lab, daemon, partner.address())
    wait_for(lambda: re.search(NO_TLS, sendmail.waiting(partner.address())), DEADLINE_S, "it to wait", sendmail.mailq)
    lab.assert_never_in_clear(message.token)
    assert not _named(forcetls, sendmail, "stale-daemon")


def test_a_milter_on_another_host_is_given_forced_mail_in_clear(
        lab: Lab, forcetls: Forcetls, daemon: SendmailDaemon):
    partner, elsewhere = add_row(lab, forcetls, "good"), lab.partners.add("good").server.address
    milter = Milter(lab.network.listen(elsewhere, 8891))
    try:
        filter_line = f"INPUT_MAIL_FILTER(`elsewhere', `S=inet:8891@{elsewhere}, F=T')dnl\n"
        sendmail = start_site(lab, forcetls, daemon.features() + filter_line)
        daemon.start(sendmail)
        message = _hand_in(lab, daemon, partner.address())
        assert any(message.token in body for body in milter.bodies)
        wait_for(lambda: lab.went_in_clear(message.token), DEADLINE_S, "the message on the wire")
        assert _named(forcetls, sendmail, "milter-elsewhere") == {"leak"}
    finally:
        milter.close()
    daemon.stop()
    right = start_site(lab, forcetls, daemon.features())
    daemon.start(right)
    message = _hand_in(lab, daemon, partner.address())
    wait_for(lambda: partner.received(message.token), DEADLINE_S, "the message", right.mailq)
    lab.assert_never_in_clear(message.token)
    assert not _named(forcetls, right, "milter-elsewhere")


def test_a_daemon_with_a_list_of_milters_of_its_own_does_not_ask_ours(
        lab: Lab, forcetls: Forcetls, daemon: SendmailDaemon):
    partner = add_row(lab, forcetls, "good", inbound="encrypt")

    def reply_to_mail() -> int:
        with lab.client(STRANGER, daemon.port) as client:
            return client.command(f"MAIL FROM:<{partner.address()}>").code

    listed = daemon.features().replace("Family=inet", "Family=inet, InputMailFilters=none")
    none = "MAIL_FILTER(`none', `S=inet:1@127.0.0.1')dnl\n"
    sendmail = start_site(lab, forcetls, none + listed)
    daemon.start(sendmail)
    assert reply_to_mail() == 250 and _named(forcetls, sendmail, "milter-missing") == {"warning"}
    daemon.stop()
    right = start_site(lab, forcetls, daemon.features())
    daemon.start(right)
    assert reply_to_mail() == 451 and not _named(forcetls, right, "milter-missing")


PROGRAM = """#!/bin/sh
cat >>"$1"
"""


def test_mail_that_is_routed_to_a_program_goes_unasked(lab: Lab, forcetls: Forcetls):
    partner = add_row(lab, forcetls, "clear")
    program, taken = lab.directory / "program-mailer", lab.directory / "program-mailer-taken"
    program.write_text(PROGRAM, encoding="ascii")
    program.chmod(0o755)
    taken.touch()
    taken.chmod(0o666)
    route = (f"LOCAL_RULE_0\nR$* < @ {partner.domain} . > $*\t$#handover $@ there $: $1 < @ {partner.domain} . > $2\n"
             f"MAILER_DEFINITIONS\nMhandover,\tP={program}, F=DFM, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP,\n"
             f"\t\tT=X-Unix, A=program-mailer {taken} $u\n")
    sendmail = start_site(lab, forcetls, before_ours=route)
    message = compose()
    sendmail.send(message, partner.address())
    assert message.token in taken.read_bytes() and _named(forcetls, sendmail, "program-mailer") == {"leak"}
    right = start_site(lab, forcetls)
    assert re.search(NO_TLS, fate_of_mail(lab, right, partner))
    assert not _named(forcetls, right, "program-mailer")


def test_without_asking_clients_for_certificates_a_row_of_inbound_verify_refuses_all(lab: Lab, forcetls: Forcetls):
    partner = add_row(lab, forcetls, inbound="verify", inbound_match="mail.partner.example")
    for option, reply in [("define(`confTLS_SRV_OPTIONS', `V')dnl\n", 451), ("", 250)]:
        sendmail = start_site(lab, forcetls, _with_server_certificate(lab, option))
        server = Inetd(sendmail)
        try:
            with lab.client(STRANGER, server.port) as client:
                assert client.starttls(lab.pki.client("mail.partner.example")).code == 250
                assert client.command(f"MAIL FROM:<{partner.address()}>").code == reply
        finally:
            server.close()
        assert _named(forcetls, sendmail, "client-certificates") == ({"warning"} if option else set())


@pytest.mark.parametrize("switches", ["", " -t", " -o", " -T<TMPF> -o"])
def test_an_access_database_behind_a_socket_with_other_switches_demands_nothing_while_its_server_is_down(
        lab: Lab, forcetls: Forcetls, switches: str):
    partners = [lab.partners.add("clear") for _ in range(2)]
    service = TlsPolicyResolver({f"tls_rcpt:{partner.domain}": "TEMP+ENCR:128" for partner in partners})
    feature = f"FEATURE(`access_db', `socket -d5 -T<TMPF> {service.sendmail_address}')dnl\n"
    sendmail = start_site(lab, forcetls, feature, edit=lambda text: text.replace(
        "Kaccess socket -d5 -T<TMPF>", f"Kaccess socket -d5{switches}"))
    assert re.search("encryption too weak|does not support STARTTLS", fate_of_mail(lab, sendmail, partners[0]))
    service.close()
    assert fate_of_mail(lab, sendmail, partners[1]) == "CLEAR"
    assert _named(forcetls, sendmail, "access-map") == {"warning"}


@pytest.mark.parametrize("switches", [" -T<TMPF>", " -T<TMPF> -t"])
def test_an_access_database_behind_a_socket_holds_mail_while_its_server_is_down(
        lab: Lab, forcetls: Forcetls, switches: str):
    partner = lab.partners.add("clear")
    service = TlsPolicyResolver({})
    feature = f"FEATURE(`access_db', `socket -d5{switches} {service.sendmail_address}')dnl\n"
    sendmail = start_site(lab, forcetls, feature)
    service.close()
    assert re.search("TEMPFAIL|deferred", fate_of_mail(lab, sendmail, partner))
    assert not _named(forcetls, sendmail, "access-map")


def test_without_a_warning_the_sender_of_a_message_that_waits_hears_nothing(lab: Lab, forcetls: Forcetls):
    partner = add_row(lab, forcetls, "clear")
    for time, severities in [("0", {"warning"}), ("1s", set())]:
        sender, message = lab.partners.add("good"), compose()
        sendmail = start_site(lab, forcetls, f"define(`confTO_QUEUEWARN', `{time}')dnl\n")
        sendmail.send(message, partner.address(), sender=sender.address())
        assert re.search(NO_TLS, sendmail.waiting(partner.address()))
        assert _named(forcetls, sendmail, "silent-deferral") == severities
        _make_older(sendmail)
        sendmail.retry()
        told = [received for received in sender.messages if partner.address().encode() in received.data]
        assert bool(told) == (not severities) and not any(message.token in received.data for received in told)


def _make_older(sendmail: Sendmail) -> None:
    """As if everything in the queue had come an hour ago."""
    for file in sendmail.queue_directory.glob("qf*"):
        text = re.sub(r"(?m)^T(\d+)$", lambda match: f"T{int(match[1]) - 3600}", file.read_text("latin-1"))
        file.write_text(text, encoding="latin-1")


# What Debian's program prints, without one of the features, or of another release.
PRINTED = """Version {version}
 Compiled with: DNSMAP LDAPMAP {features}
    OS Defines: HASFCHOWN
"""


@pytest.mark.parametrize("version, features, finding, severity", [
    ("8.18.1", "MILTER SOCKETMAP", "sendmail-build", "leak"),
    ("8.18.1", "MILTER STARTTLS", "sendmail-build", "warning"),
    ("8.16.1", "MILTER SOCKETMAP STARTTLS", "sendmail-version", "leak")])
def test_a_program_that_was_built_otherwise_or_is_too_old_is_named(
        lab: Lab, forcetls: Forcetls, version: str, features: str, finding: str, severity: str):
    """There is no such Sendmail here to be seen at work."""
    sendmail = start_site(lab, forcetls)
    program = lab.directory / f"other-sendmail-{version}-{features.replace(' ', '-')}"
    program.write_text("#!/bin/sh\ncat <<END\n" + PRINTED.format(version=version, features=features) + "END\n",
                       encoding="ascii")
    program.chmod(0o755)
    assert not _named(forcetls, sendmail, finding)
    assert _named(forcetls, sendmail, finding, program) == {severity}


def test_a_mailer_that_asks_but_is_not_listed_is_refused_by_the_milter_until_it_is(lab: Lab, forcetls: Forcetls):
    forced = add_row(lab, forcetls, "good")
    route = (f"LOCAL_RULE_0\nR$* < @ {forced.domain} . > $*\t$#smtp8 $@ [{forced.server.address}] $: $1 < @ "
             f"{forced.domain} . > $2\n")
    sendmail = start_site(lab, forcetls, before_ours=route)
    [finding] = [found for found in doctor(forcetls, sendmail)[1] if found["id"] == "enforcing-transports"]
    assert finding["severity"] == "note" and "smtp8" in finding["what"]
    server = Inetd(sendmail)
    try:
        for code in (451, 250):
            with lab.client(port=server.port) as client:
                assert client.command(f"MAIL FROM:<{OURS}>").code == 250
                assert client.command(f"RCPT TO:<{forced.address()}>").code == code
            if code == 451:
                forcetls.run_as_administrator(finding["fix"])
                settle(forcetls)
    finally:
        server.close()
    assert not _named(forcetls, sendmail, "enforcing-transports")


def test_an_mta_sts_that_says_encrypt_demands_nothing_where_the_row_does(lab: Lab, forcetls: Forcetls):
    free, forced = lab.partners.add("clear"), add_row(lab, forcetls, "clear")
    service = TlsPolicyResolver({partner.domain: "encrypt" for partner in (free, forced)})
    try:
        sendmail = start_site(lab, forcetls, "define(`_FFR_MTA_STS', `1')dnl\n"
                              f"FEATURE(`sts', `socket -d5 -T<TMPF> {service.sendmail_address}')dnl\n")
        assert fate_of_mail(lab, sendmail, free) == "CLEAR"
        assert re.search(NO_TLS, fate_of_mail(lab, sendmail, forced))
        assert service.keys and _named(forcetls, sendmail, "sts-feature") == {"note"}
    finally:
        service.close()
