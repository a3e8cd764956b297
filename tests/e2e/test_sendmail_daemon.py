"""Sendmail as administrators run it, with the lines that setup prints: mail comes in over SMTP, or by sendmail(1) and
submit.cf, to a daemon that delivers it in the background and runs its queue by itself."""

import re
import signal
import threading
from dataclasses import dataclass
from typing import Iterator

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.host_files import CA_STORE
from lab.lab import Lab
from lab.message import Message, compose
from lab.network import STRANGER
from lab.sendmail import Sendmail
from lab.sendmail_daemon import SendmailDaemon
from lab.sendmail_lines import write_lines
from lab.smtp_client import Submission
from lab.waiting import wait_for
from rows import add_row
from sendmail_site import NEEDS_SENDMAIL, make_bare, set_up, start_site
from sendmail_table import NO_ANSWER

SENDER = "root@mail.ours.example"
NO_TLS = "TLS is required: this session has verify"  # mailq shows no more of it
DEADLINE_S = 60

pytestmark = NEEDS_SENDMAIL


@dataclass
class Site:
    """The mail host."""

    lab: Lab
    sendmail: Sendmail
    daemon: SendmailDaemon

    def send(self, *recipients: str, sender: str = SENDER, source: str | None = None, tls: bool = False) -> Submission:
        """Hands in one message over SMTP, from this host or from outside."""
        with self.lab.client(source, self.daemon.port) as client:
            if tls:
                assert client.starttls().code == 250
            submission = client.send(sender, list(recipients))
            client.quit()
        return submission

    def hand_in(self, *recipients: str, sender: str = SENDER) -> Message:
        """As send(), for a message that must be taken."""
        submission = self.send(*recipients, sender=sender)
        assert submission.end_of_data is not None and submission.end_of_data.code == 250, submission
        return submission.message

    def wait_for_reason(self, recipient: str, reason: str) -> None:
        """Until mailq says that the recipient waits, and why."""
        wait_for(lambda: re.search(reason, _entry_of(self.sendmail.mailq(), recipient)), DEADLINE_S,
                 f"{recipient} to wait because of /{reason}/", self.sendmail.mailq)

    def wait_for_arrival(self, partner: Partner, message: Message) -> str:
        """Until the partner has the message; TLSv1.3 or the like, or CLEAR."""
        received = wait_for(lambda: partner.received(message.token), DEADLINE_S, f"mail to {partner.domain} to arrive",
                            self.sendmail.mailq)
        return received[0].tls_version or "CLEAR"


def _entry_of(mailq: str, recipient: str) -> str:
    """The part of mailq's list that begins with a queue id and names the recipient."""
    entries = re.split(r"(?m)^(?=\w{14})", mailq)
    return next((entry for entry in entries if re.search(rf"[\s<]{re.escape(recipient)}\b", entry)), "")


def _start(lab: Lab, forcetls: Forcetls, queue: str) -> Site:
    """A stock Sendmail, the lines that setup wants, and the daemon."""
    daemon = SendmailDaemon(lab.directory / "forcetls")
    certificate = lab.pki.good("mail.ours.example")
    certificate.key_file.chmod(0o600)  # Sendmail uses no key that others can read
    sendmail = start_site(lab, forcetls, f"{daemon.features()}"
                          f"define(`confSERVER_CERT', `{certificate.cert_file}')dnl\n"
                          f"define(`confSERVER_KEY', `{certificate.key_file}')dnl\n")
    make_bare(sendmail)
    sendmail.make_submit("127.0.0.1", daemon.port)
    write_lines(set_up(forcetls, sendmail).stdout.replace("/etc/ssl/certs/ca-certificates.crt", str(CA_STORE)))
    sendmail.make()
    sendmail.make_submit_again()
    nothing = set_up(forcetls, sendmail)
    assert nothing.returncode == 0, nothing.stdout
    daemon.start(sendmail, queue)
    return Site(lab, sendmail, daemon)


@pytest.fixture(name="site")
def _site(lab: Lab, forcetls: Forcetls) -> Iterator[Site]:
    """A daemon that runs its queue once a second."""
    site = _start(lab, forcetls, "-q1s")
    yield site
    site.daemon.stop()


@pytest.fixture(name="persistent", params=["-q1s", "-qp1s"], ids=["a new process", "the same process"])
def _persistent(lab: Lab, forcetls: Forcetls, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A daemon that runs its queue in a new process each time, or in one that stays."""
    site = _start(lab, forcetls, request.param)
    yield site
    site.daemon.stop()


def test_mail_waits_and_mailq_says_why_until_the_partner_has_tls(lab: Lab, forcetls: Forcetls, persistent: Site):
    partner = add_row(lab, forcetls, "clear", outbound="encrypt")
    message = persistent.hand_in(partner.address())
    persistent.wait_for_reason(partner.address(), NO_TLS)
    lab.partners.change(partner, "self-signed")
    assert persistent.wait_for_arrival(partner, message) == "TLSv1.3"
    lab.assert_never_in_clear(message.token)


def test_mail_leaves_over_tls_when_the_row_is_put_right(lab: Lab, forcetls: Forcetls, persistent: Site):
    partner = add_row(lab, forcetls, "good", outbound="secure", match="mx.elsewhere.example")
    message = persistent.hand_in(partner.address())
    persistent.wait_for_reason(partner.address(), r"certificate \(verify=OK\) is for ")
    forcetls.set_policy(f"UPDATE domain_policy SET match = '{partner.server.hostname}' "
                        f"WHERE domain = '{partner.domain}'")
    assert persistent.wait_for_arrival(partner, message) == "TLSv1.3"
    lab.assert_never_in_clear(message.token)


def test_mail_of_sendmail_1_goes_by_way_of_the_daemon_and_is_held_to_the_row(
        lab: Lab, forcetls: Forcetls, site: Site):
    good, clear = add_row(lab, forcetls, "good"), add_row(lab, forcetls, "clear")
    free = lab.partners.add("clear")
    messages = {partner: compose() for partner in (good.domain, clear.domain, free.domain)}
    for partner in (good, clear, free):
        assert not site.sendmail.submit(messages[partner.domain], partner.address())
    assert site.wait_for_arrival(good, messages[good.domain]) == "TLSv1.3"
    assert site.wait_for_arrival(free, messages[free.domain]) == "CLEAR"
    site.wait_for_reason(clear.address(), NO_TLS)
    lab.partners.change(clear, "good")
    assert site.wait_for_arrival(clear, messages[clear.domain]) == "TLSv1.3"
    for partner in (good, clear):
        lab.assert_never_in_clear(messages[partner.domain].token)


def test_of_several_recipients_only_the_forced_one_waits_also_beside_one_that_bounces(
        lab: Lab, forcetls: Forcetls, site: Site):
    forced, free = add_row(lab, forcetls, "clear"), lab.partners.add("clear")
    refusing = lab.partners.add("clear", replies={"RCPT": "550 5.1.1 no such user"})
    sender = lab.partners.add("clear")
    message = site.hand_in(refusing.address(), forced.address(), free.address(), sender=sender.address())
    assert site.wait_for_arrival(free, message) == "CLEAR"
    wait_for(lambda: sender.messages, DEADLINE_S, "the bounce", site.sendmail.mailq)
    site.wait_for_reason(forced.address(), NO_TLS)
    assert not forced.messages
    lab.partners.change(forced, "good")
    assert site.wait_for_arrival(forced, message) == "TLSv1.3"
    assert refusing.address().encode() in sender.messages[0].data and len(sender.messages) == 1


def test_a_bounce_of_forced_mail_has_no_text_and_leaves_as_the_senders_row_demands(
        lab: Lab, forcetls: Forcetls, site: Site):
    refusing, sender = _refusing(lab, forcetls), add_row(lab, forcetls, "good")
    message = site.hand_in(refusing.address(), sender=sender.address())
    wait_for(lambda: sender.messages, DEADLINE_S, "the bounce", site.sendmail.mailq)
    [bounce] = sender.messages
    assert bounce.tls_version and message.message_id.encode() in bounce.data and message.token not in bounce.data


def test_a_bounce_that_may_not_leave_goes_to_the_postmaster_and_not_to_the_sender_in_clear(
        lab: Lab, forcetls: Forcetls, site: Site):
    """It does not wait, by the defect of Sendmail that queue groups with r=1 are for (forcetls-sendmail(8), LIMITS)."""
    refusing, sender, postmaster = _refusing(lab, forcetls), add_row(lab, forcetls, "clear"), lab.partners.add("good")
    (site.sendmail.etc / "aliases").write_text(f"postmaster: {postmaster.address()}\n", encoding="ascii")
    site.sendmail.run("-bi")
    message = site.hand_in(refusing.address(), sender=sender.address())
    wait_for(lambda: postmaster.messages, DEADLINE_S, "the bounce of the bounce", site.sendmail.mailq)
    assert sender.sessions and not sender.messages
    told = postmaster.messages[0].data
    assert sender.address().encode() in told and message.token not in told
    lab.assert_never_in_clear(refusing.address().encode())


def test_forced_mail_that_waits_holds_up_no_older_mail_to_the_same_server(lab: Lab, forcetls: Forcetls, site: Site):
    partner, neighbour = add_row(lab, forcetls, "clear"), "older-beside.example"
    lab.dns.add_mx(neighbour, partner.server.hostname)
    lab.partners.change(partner, "clear", replies={"RCPT": "450 4.2.0 try again later"})
    older = site.hand_in(f"u@{neighbour}")
    site.wait_for_reason(f"u@{neighbour}", "try again later")
    site.hand_in(partner.address())
    site.wait_for_reason(partner.address(), NO_TLS)
    lab.partners.change(partner, "clear")
    assert site.wait_for_arrival(partner, older) == "CLEAR"
    site.wait_for_reason(partner.address(), NO_TLS)


def test_where_the_first_mx_has_no_address_forced_mail_bounces_instead_of_leaving_in_clear(
        lab: Lab, forcetls: Forcetls, site: Site):
    """It does not wait, by the same defect of Sendmail (forcetls-sendmail(8), LIMITS)."""
    partner, sender = add_row(lab, forcetls, "clear"), lab.partners.add("good")
    lab.dns.add_mx(partner.domain, f"gone.{partner.domain}", preference=1)
    message = site.hand_in(partner.address(), sender=sender.address())
    wait_for(lambda: sender.received(message.message_id.encode()), DEADLINE_S, "the bounce", site.sendmail.mailq)
    assert not partner.messages and message.token not in sender.messages[0].data
    lab.assert_never_in_clear(message.token)


def _refusing(lab: Lab, forcetls: Forcetls) -> Partner:
    """A forced partner that knows no user."""
    partner = add_row(lab, forcetls, "good")
    lab.partners.change(partner, "good", replies={"RCPT": "550 5.1.1 no such user"})
    return partner


@pytest.mark.parametrize("fault", ["killed", "hanging"])
def test_while_policyd_does_not_answer_all_mail_waits_and_then_flows(
        lab: Lab, forcetls: Forcetls, site: Site, fault: str):
    partners = [add_row(lab, forcetls, "good"), lab.partners.add("clear")]
    if fault == "killed":
        forcetls.policyd.kill()
    else:
        forcetls.policyd.signal(signal.SIGSTOP)
    try:
        messages = [site.hand_in(partner.address()) for partner in partners]
        for partner in partners:
            site.wait_for_reason(partner.address(), NO_ANSWER)
            assert not partner.messages
    finally:
        if fault == "killed":
            forcetls.start_policyd()
        else:
            forcetls.policyd.signal(signal.SIGCONT)
    assert [site.wait_for_arrival(*pair) for pair in zip(partners, messages)] == ["TLSv1.3", "CLEAR"]
    lab.assert_never_in_clear(messages[0].token)


def test_the_milter_keeps_the_inbound_rule(lab: Lab, forcetls: Forcetls, site: Site):
    partner = add_row(lab, forcetls, "good", inbound="encrypt")
    refused = site.send(SENDER, sender=partner.address(), source=STRANGER)
    assert refused.mail.text.startswith("451 4.7.4 ")
    taken = site.send(SENDER, sender=partner.address(), source=STRANGER, tls=True)
    assert taken.end_of_data.code == 250
    forcetls.milter.kill()
    assert site.send(SENDER, sender=partner.address(), source=STRANGER).mail.code == 451
    forcetls.start_milter()
    assert site.send(SENDER, sender=partner.address(), source=STRANGER, tls=True).end_of_data.code == 250


class OneByOne:
    """Mail to several partners, one after the other in one process: each is held at its banner until let_go()."""

    def __init__(self, site: Site, kind: str, **changes: object) -> None:
        self._site = site
        self._gates = {}
        for _ in range(3):
            gate = threading.Event()
            self._gates[site.lab.partners.add(kind, gates={"BANNER": gate}, **changes).domain] = gate
        self.waiting = [partner for partner in site.lab.partners.all if partner.domain in self._gates]
        self.messages = {partner.domain: compose() for partner in self.waiting}

    def queue(self) -> None:
        """Queues a message to each partner, without an attempt."""
        for partner in self.waiting:
            self._site.sendmail.run("-i", "-odq", "-f", SENDER, partner.address(),
                                    data=self.messages[partner.domain].data)

    def wait_for_next(self) -> Partner:
        """The partner that the process has come to."""
        reached = wait_for(lambda: [partner for partner in self.waiting if partner.sessions], DEADLINE_S,
                           "the next partner's turn", self._site.sendmail.mailq)
        assert len(reached) == 1
        self.waiting.remove(reached[0])
        return reached[0]

    def let_go(self, partner: Partner) -> None:
        """From now on it answers."""
        self._gates[partner.domain].set()


@pytest.fixture(name="one_process")
def _one_process(lab: Lab, forcetls: Forcetls) -> Iterator[Site]:
    """Nobody but one process that stays runs the queue."""
    site = _start(lab, forcetls, "-qp1s")
    yield site
    site.daemon.stop()


def test_a_change_of_the_policy_counts_for_the_next_recipient_of_a_process_that_has_asked_before(
        lab: Lab, forcetls: Forcetls, one_process: Site):
    mail = OneByOne(one_process, "clear")
    mail.queue()
    for _ in range(2):
        partner = mail.wait_for_next()
        mail.let_go(partner)
        assert one_process.wait_for_arrival(partner, mail.messages[partner.domain]) == "CLEAR"
    partner = mail.wait_for_next()
    forcetls.add_row(partner.domain, "encrypt")
    mail.let_go(partner)
    one_process.wait_for_reason(partner.address(), NO_TLS)
    lab.assert_never_in_clear(mail.messages[partner.domain].token)


def test_of_a_process_that_has_asked_before_one_message_waits_when_policyd_is_started_again(
        lab: Lab, forcetls: Forcetls, one_process: Site):
    """Sendmail learns by its next question that the connection is gone, and makes a new one for the question after."""
    mail = OneByOne(one_process, "good")
    for partner in mail.waiting:
        forcetls.add_row(partner.domain, "encrypt")
    mail.queue()
    first = mail.wait_for_next()
    mail.let_go(first)
    assert one_process.wait_for_arrival(first, mail.messages[first.domain]) == "TLSv1.3"
    second = mail.wait_for_next()
    forcetls.policyd.kill()
    forcetls.start_policyd()
    mail.let_go(second)
    third = mail.wait_for_next()
    assert not second.messages
    assert re.search(NO_ANSWER, _entry_of(one_process.sendmail.mailq(), second.address()))
    mail.let_go(third)
    assert one_process.wait_for_arrival(third, mail.messages[third.domain]) == "TLSv1.3"
    assert one_process.wait_for_arrival(second, mail.messages[second.domain]) == "TLSv1.3"


def test_a_message_that_bounces_does_not_take_forced_ones_with_it_that_the_same_process_comes_to_later(
        lab: Lab, forcetls: Forcetls, one_process: Site):
    mail = OneByOne(one_process, "clear", replies={"RCPT": "550 5.1.1 no such user"})
    mail.queue()
    mail.let_go(mail.wait_for_next())
    for _ in range(2):
        partner = mail.wait_for_next()
        forcetls.add_row(partner.domain, "encrypt")
        mail.let_go(partner)
        one_process.wait_for_reason(partner.address(), NO_TLS)
