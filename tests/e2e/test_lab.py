"""The lab itself can be relied on: it sees clear mail where there is some, and Postfix behaves in it as noted."""

import socket
import subprocess
import threading
from pathlib import Path

import pytest

from lab.catalogue import Partner
from lab.host_files import ALICE
from lab.lab import Lab
from lab.network import LAN_CLIENT, MAIL_HOST, OUTSIDE_CLIENT, STRANGER
from lab.postfix import read_main_cf
from lab.waiting import wait_for
from lab.wire import joined
from matrix import Case, make_cases, read_table, send_all

# What stands in smtp_tls_policy_maps for each column; DIGEST is the partner's own certificate.
LEVELS = {
    "may": "may",
    "encrypt": "encrypt",
    "encrypt 1.2": "encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high exclude=aNULL",
    "verify": "verify",
    "secure": "secure",
    "hostname": "secure match=hostname",
    "both": "secure match=nexthop:hostname",
    "digest": "fingerprint match=DIGEST",
}
OUTCOMES = read_table("""
partner            | may   | encrypt | encrypt 1.2 | verify | secure | hostname | both | digest
good               | 1.3   | 1.3     | 1.3         | 1.3    | 1.3    | 1.3      | 1.3  | 1.3
clear              | CLEAR | NO      | NO          | NO     | NO     | NO       | NO   | NO
refused-454        | CLEAR | R4      | R4          | R4     | R4     | R4       | R4   | R4
refused-502        | CLEAR | R5      | R5          | R5     | R5     | R5       | R5   | R5
garbage            | HS    | HS      | HS          | HS     | HS     | HS       | HS   | HS
alert              | HS    | HS      | HS          | HS     | HS     | HS       | HS   | HS
close              | HS    | HS      | HS          | HS     | HS     | HS       | HS   | HS
hang               | HS    | HS      | HS          | HS     | HS     | HS       | HS   | HS
drop               | LC    | LC      | LC          | LC     | LC     | LC       | LC   | LC
expired            | 1.3   | 1.3     | 1.3         | NV     | NV     | NV       | NV   | 1.3
self-signed        | 1.3   | 1.3     | 1.3         | NV     | NV     | NV       | NV   | 1.3
wrong-name         | 1.3   | 1.3     | 1.3         | NV     | NV     | NV       | NV   | 1.3
unknown-ca         | 1.3   | 1.3     | 1.3         | NV     | NV     | NV       | NV   | 1.3
tls1.0             | 1     | 1       | HS          | HS     | HS     | HS       | HS   | HS
tls1.1             | 1.1   | 1.1     | HS          | HS     | HS     | HS       | HS   | HS
tls1.2             | 1.2   | 1.2     | 1.2         | 1.2    | 1.2    | 1.2      | 1.2  | 1.2
tls1.3             | 1.3   | 1.3     | 1.3         | 1.3    | 1.3    | 1.3      | 1.3  | 1.3
anonymous          | 1.2   | 1.2     | HS          | HS     | HS     | HS       | HS   | HS
domain-certificate | 1.3   | 1.3     | 1.3         | NV     | 1.3    | NV       | 1.3  | 1.3
wildcard           | 1.3   | 1.3     | 1.3         | 1.3    | 1.3    | 1.3      | 1.3  | 1.3
outsourced         | 1.3   | 1.3     | 1.3         | 1.3    | NV     | 1.3      | 1.3  | 1.3
address-only       | 1.3   | 1.3     | 1.3         | NV     | NV     | NV       | NV   | 1.3
mx-is-cname        | 1.3   | 1.3     | 1.3         | NV     | NV     | NV       | NV   | 1.3
clear-then-good    | CLEAR | 1.3     | 1.3         | 1.3    | 1.3    | 1.3      | 1.3  | 1.3
good-then-clear    | 1.3   | 1.3     | 1.3         | 1.3    | 1.3    | 1.3      | 1.3  | 1.3
close-then-good    | 1.3   | 1.3     | 1.3         | 1.3    | 1.3    | 1.3      | 1.3  | 1.3
close-then-clear   | CLEAR | NO      | NO          | NO     | NO     | NO       | NO   | NO
dead-then-clear    | CLEAR | NO      | NO          | NO     | NO     | NO       | NO   | NO
dead-then-good     | 1.3   | 1.3     | 1.3         | 1.3    | 1.3    | 1.3      | 1.3  | 1.3
expired-then-good  | 1.3   | 1.3     | 1.3         | 1.3    | 1.3    | 1.3      | 1.3  | 1.3
greylist-then-clear | CLEAR | NO     | NO          | NO     | NO     | NO       | NO   | NO
refused-454-then-clear | CLEAR | NO  | NO          | NO     | NO     | NO       | NO   | NO
""")


@pytest.fixture(scope="module", name="cases")
def _cases(shared_lab: Lab) -> dict[tuple[str, str], Case]:
    """All messages of OUTCOMES, sent with the levels in a texthash table."""
    shared_lab.reset()
    cases = make_cases(shared_lab, OUTCOMES)
    any_digest = shared_lab.pki.good("any.example").digest
    policy = {}
    for case in cases.values():
        certificate = case.partner.certificate
        digest = certificate.digest if certificate else any_digest
        policy[case.partner.domain] = LEVELS[case.level].replace("DIGEST", digest)
    shared_lab.postfix.set(smtp_tls_policy_maps=shared_lab.postfix.table("tls_policy", policy))
    shared_lab.postfix.reload()
    send_all(shared_lab, cases)
    return cases


@pytest.mark.parametrize(("kind", "level"), OUTCOMES, ids=[f"{kind} at {level}" for kind, level in OUTCOMES])
def test_postfix_treats_each_partner_at_each_level_as_noted(shared_lab: Lab, cases, kind: str, level: str):
    case = cases[kind, level]
    word = case.word()
    assert word == OUTCOMES[kind, level], f"{kind} at {level}: {case.outcome}"
    assert shared_lab.went_in_clear(case.submission.token) == (word == "CLEAR")


def _sent_to(lab: Lab, kind: str, **changes: object) -> tuple[Partner, bytes]:
    partner = lab.partners.add(kind, **changes)
    submission = lab.send(partner.address())
    assert lab.outcome(submission).status == "sent"
    return partner, submission.token


def test_the_body_of_a_clear_message_is_found_on_the_wire_and_at_the_partner(lab: Lab):
    partner, token = _sent_to(lab, "clear")
    assert lab.capture.contains(token)
    assert partner.saw_in_clear(token)
    with pytest.raises(AssertionError, match="in clear on the wire"):
        lab.assert_never_in_clear(token)


def test_the_body_of_a_message_sent_with_tls_is_not_found_in_clear(lab: Lab):
    partner, token = _sent_to(lab, "good")
    assert partner.received(token)[0].tls_version == "TLSv1.3"
    lab.assert_never_in_clear(token)


def test_a_token_cut_into_two_packets_is_found_on_the_wire(lab: Lab):
    partner = lab.partners.add("clear")
    with socket.create_connection((partner.server.address, 25)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert connection.recv(100).startswith(b"220")
        connection.sendall(b"NOOP cut-in-")
        connection.sendall(b"two-pieces\r\n")
        assert connection.recv(100).startswith(b"250")
    assert lab.capture.contains(b"cut-in-two-pieces")


def test_packets_are_joined_in_order_also_when_repeated_or_past_the_end_of_the_sequence_numbers():
    late, first, again = 2, 2**32 - 4, 2**32 - 2
    assert joined({late: b"ghi", first: b"abcdef", again: b"cde"}) == b"abcdefghi"


def test_a_partner_that_is_mended_gets_the_waiting_message(lab: Lab):
    partner = lab.partners.add("close")
    submission = lab.send(partner.address())
    assert lab.outcome(submission).status == "deferred"
    lab.partners.change(partner, "good")
    lab.postfix.retry(submission.queue_id)
    assert lab.outcome(submission, status="sent").dsn == "2.0.0"
    assert partner.received(submission.token)[0].tls_version == "TLSv1.3"


def test_a_partner_holds_its_session_open_until_its_gate_opens(lab: Lab):
    gate = threading.Event()
    partner = lab.partners.add("clear", gates={"EOD": gate})
    submission = lab.send(partner.address())
    wait_for(lambda: partner.saw_in_clear(submission.token), 20, "the body to arrive")
    assert partner.server.open_connections == 1 and not partner.messages
    gate.set()
    assert lab.outcome(submission).status == "sent"
    assert partner.messages[0].recipients == (partner.address(),)


def test_lmtp_servers_on_tcp_and_unix_sockets_take_mail(lab: Lab):
    lmtp, _ = lab.partners.behaviour("lmtp", "lmtp.ours.example")
    on_tcp = lab.partners.serve("lmtp.ours.example", lmtp, port=24)
    on_unix = lab.partners.serve_unix(lab.postfix.queue_directory / "private" / "lab-lmtp", "unix.example", lmtp)
    lab.postfix.set(transport_maps=lab.postfix.table("transport", {
        "tcp-lmtp.example": "lmtp:inet:lmtp.ours.example:24", "unix-lmtp.example": "lmtp:unix:private/lab-lmtp"}))
    lab.postfix.reload()
    for server, recipient in ((on_tcp, "u@tcp-lmtp.example"), (on_unix, "u@unix-lmtp.example")):
        assert lab.outcome(lab.send(recipient)).status == "sent"
        assert server.messages[0].recipients == (recipient,)


def test_dane_partners_are_verified_by_their_tlsa_record(lab: Lab):
    good, bad = lab.partners.add("dane"), lab.partners.add("dane-bad")
    lab.postfix.set(smtp_dns_support_level="dnssec", smtp_tls_policy_maps=lab.postfix.table(
        "tls_policy", {good.domain: "dane-only", bad.domain: "dane-only"}))
    lab.postfix.reload()
    to_good, to_bad = lab.send(good.address()), lab.send(bad.address())
    assert lab.outcome(to_good).status == "sent"
    assert "Server certificate not" in lab.outcome(to_bad).text


def test_a_partner_on_ipv6_takes_mail(lab: Lab):
    partner = lab.partners.add("good", address="fd00:91::1")
    lab.postfix.set(inet_protocols="all")
    lab.postfix.reload()
    outcome = lab.outcome(lab.send(partner.address()))
    assert (outcome.status, outcome.relay) == ("sent", f"mx1.{partner.domain}[fd00:91::1]:25")


def test_mail_waits_while_the_network_is_cut_off(lab: Lab):
    partner = lab.partners.add("good")
    with lab.network.cut_off():
        submission = lab.send(partner.address())
        assert lab.outcome(submission).status == "deferred"
    lab.postfix.retry(submission.queue_id)
    assert lab.outcome(submission, status="sent")
    lab.assert_never_in_clear(submission.token)


def test_a_resumed_tls_session_is_recognised(lab: Lab):
    partner = lab.partners.add("tls1.2")
    for _ in range(2):
        assert lab.outcome(lab.send(partner.address())).status == "sent"
    assert [message.tls_resumed for message in partner.messages] == [False, True]


def test_a_real_postfix_as_partner_takes_mail_with_tls(lab: Lab):
    partner = lab.start_postfix_partner("real-postfix.example")
    lab.postfix.set(smtp_tls_policy_maps=lab.postfix.table("tls_policy", {partner.domain: "secure"}))
    lab.postfix.reload()
    submission = lab.send(partner.address())
    assert lab.outcome(submission).status == "sent"
    assert b"using TLSv1.3" in partner.wait_for_message(submission.token)
    lab.assert_never_in_clear(submission.token)


def test_names_are_found_without_regard_to_case_and_others_do_not_exist(lab: Lab):
    lab.dns.add_a("Host.Mixed.Example", "10.91.9.9")
    assert socket.gethostbyname("hOST.mIXED.eXAMPLE") == "10.91.9.9"
    with pytest.raises(socket.gaierror):
        socket.gethostbyname("nobody.mixed.example")


def test_mail_for_an_unknown_domain_bounces_and_for_a_failing_one_waits(lab: Lab):
    unknown = lab.send("u@unknown-domain.example")
    lab.dns.fail("failing-domain.example")
    failing = lab.send("u@failing-domain.example")
    assert lab.outcome(unknown).status == "bounced"
    assert lab.outcome(failing).status == "deferred"


def test_each_recipient_gets_a_reply_of_its_own(lab: Lab):
    submission = lab.send("alice@ours.example", "no-such-user@ours.example")
    assert submission.replies["alice@ours.example"].code == 250
    assert submission.replies["no-such-user@ours.example"].code == 550


@pytest.mark.parametrize("recipient", ["U@{UPPER}", "u@{domain}.", "u%{domain}@ours.example", "ü@{domain}"])
def test_odd_recipients_reach_the_partner(lab: Lab, recipient: str):
    partner = lab.partners.add("clear")
    submission = lab.send(recipient.format(domain=partner.domain, UPPER=partner.domain.upper()))
    assert lab.outcome(submission).status == "sent"
    assert partner.received(submission.token)


def test_a_recipient_in_unicode_reaches_the_partner_by_its_a_label(lab: Lab):
    partner = lab.partners.add("clear", domain="xn--bnk-idn-5wa.example")
    submission = lab.send("u@bänk-idn.example")
    assert lab.outcome(submission).status == "sent"
    assert partner.received(submission.token)


def test_mail_by_sendmail_from_a_plain_user_is_delivered(lab: Lab):
    partner = lab.partners.add("good")
    submission = lab.sendmail(partner.address(), user="alice")
    assert lab.outcome(submission).status == "sent"
    assert partner.received(submission.token)


def test_local_mail_goes_to_the_user_and_forward_files_are_obeyed(lab: Lab):
    partner = lab.partners.add("clear")
    lab.forget_local_mail()
    kept = lab.send("alice@ours.example")
    assert lab.outcome(kept).status == "sent"
    assert any(kept.token in message for message in lab.local_mail(ALICE))
    lab.set_forward(ALICE, partner.address())
    forwarded = lab.send("alice@ours.example")
    queue_id = lab.postfix.log.wait_for_queue_id(forwarded.message.message_id, number=2)
    assert lab.postfix.log.wait_for_outcome(queue_id, partner.address()).status == "sent"
    lab.forget_local_mail()


@pytest.mark.parametrize(("source", "code"), [(None, 250), (LAN_CLIENT, 250), (OUTSIDE_CLIENT, 250), (STRANGER, 454)])
def test_only_own_networks_may_relay(lab: Lab, source: str | None, code: int):
    with lab.client(source) as client:
        submission = client.send("someone@customer.example", ["u@relay-target.example"])
    assert submission.replies["u@relay-target.example"].code == code


def test_a_client_on_the_partner_side_can_use_tls_with_a_certificate(lab: Lab):
    lab.postfix.set(smtpd_tls_ask_ccert="yes")
    lab.postfix.reload()
    certificate = lab.pki.client("client.customer.example")
    with lab.client(STRANGER) as client:
        assert client.starttls(certificate).code == 250
        submission = client.send("someone@customer.example", ["alice@ours.example"])
    assert client.tls_version == "TLSv1.3"
    assert submission.queue_id
    lab.postfix.log.wait_for_line(rf"Trusted TLS connection established from unknown\[{STRANGER}\]")


def test_what_a_test_changes_in_main_cf_is_undone_for_the_next(lab: Lab):
    lab.postfix.set(relayhost="[relay.example]")
    lab.postfix.set_service("forcetls unix - - y - - smtp -o smtp_tls_security_level=encrypt")
    assert lab.postfix.get("relayhost") == "[relay.example]"
    lab.reset()
    assert lab.postfix.get("relayhost") == ""
    assert "forcetls" not in (lab.postfix.etc / "master.cf").read_text("ascii")


def test_main_cf_lines_are_read_with_comments_and_continuations():
    text = "# why\na = 1\n\nb =\n  x y\n# in between\n\tz = w\nc=\n"
    assert read_main_cf(text) == {"a": "1", "b": "x y z = w", "c": ""}


def test_the_host_sees_neither_the_lab_network_nor_its_files(lab: Lab):
    listed = subprocess.run(["ip", "-brief", "address"], capture_output=True, text=True, check=True).stdout
    assert {line.split()[0].split("@")[0] for line in listed.splitlines()} == {"lo", "mail0"}
    assert MAIL_HOST in listed
    mounts = Path("/proc/self/mounts").read_text("utf-8")
    assert any(line.split()[:2] == ["forcetls-lab", "/etc"] for line in mounts.splitlines())
    assert lab.directory.stat().st_dev != Path("/").stat().st_dev
