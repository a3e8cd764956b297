"""policyd or the milter stopped, killed, hanging, restarted under load: nothing in clear, nothing lost."""

import contextlib
import re
import signal
import threading
from pathlib import Path

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.host_files import ALICE
from lab.lab import SENDER, Lab
from lab.message import compose
from lab.protocol import PolicyClient, ProtocolError, SocketmapClient, netstring
from lab.smtp_client import Submission
from lab.waiting import wait_for

MESSAGES = 8
RESTARTS = 8
DEADLINE_S = 60


class Mix:
    """A forced partner with TLS, a forced one without, a free one without: and what was sent to each."""

    def __init__(self, lab: Lab, forcetls: Forcetls) -> None:
        self._lab = lab
        self.good, self.stripped, self.free = (lab.partners.add(kind) for kind in ("good", "clear", "clear"))
        self.partners = (self.good, self.stripped, self.free)
        forcetls.set_policy("INSERT INTO domain_policy(domain, outbound) VALUES "
                            f"('{self.good.domain}', 'secure'), ('{self.stripped.domain}', 'secure')")
        forcetls.wait_for_answer("tls", self.stripped.domain, "OK secure")
        self.sent: dict[str, list[Submission]] = {partner.domain: [] for partner in self.partners}

    def hand_in(self, count: int) -> None:
        """By sendmail(1), which asks no policy service, to each."""
        for _ in range(count):
            for partner in self.partners:
                self.sent[partner.domain].append(self._lab.sendmail(partner.address()))

    def to(self, partner: Partner) -> list[Submission]:
        """What was sent there."""
        return self.sent[partner.domain]

    def all(self) -> list[Submission]:
        """All that was sent."""
        return [submission for partner in self.partners for submission in self.to(partner)]

    def assert_nothing_left(self) -> None:
        """No partner got anything."""
        assert [len(partner.messages) for partner in self.partners] == [0, 0, 0]

    def assert_each_arrives_once_and_none_in_clear(self) -> None:
        """Flushes, and waits until only what is forced and cannot leave is in the queue."""
        log = self._lab.postfix.log
        self._lab.postfix.flush()
        for submission in (*self.to(self.good), *self.to(self.free)):
            assert self._lab.outcome(submission, status="sent", deadline_s=DEADLINE_S)
        for partner in (self.good, self.free):
            assert [len(partner.received(submission.token)) for submission in self.to(partner)] \
                == [1] * len(self.to(partner))
        assert {message.tls_version for message in self.good.messages} == {"TLSv1.3"}
        assert not self.stripped.messages
        for submission in self.to(self.stripped):
            assert {outcome.status for outcome in log.outcomes(submission.queue_id)} == {"deferred"}
        waiting = {submission.queue_id for submission in self.to(self.stripped)}
        # One that the flush moves while the queue is listed can be left out of the list.
        wait_for(lambda: waiting <= {entry["queue_id"] for entry in self._lab.postfix.queue()}, DEADLINE_S,
                 "what is forced to be in the queue", log.tail)
        forced = {submission.token for submission in (*self.to(self.good), *self.to(self.stripped))}
        assert not forced & self._lab.capture.found(rb"body-\d+-secret")
        assert not any(self._lab.partners.saw_in_clear(token) for token in forced)


def _impatient(lab: Lab, *names: str) -> None:
    """The snippet's timeouts, but 1 s instead of 10 s, in these parameters."""
    values = {name: lab.postfix.get(name) for name in names}
    assert all("timeout=10s" in value for value in values.values()), values
    lab.postfix.set(**{name: value.replace("timeout=10s", "timeout=1s") for name, value in values.items()})
    lab.postfix.reload()


# -- policyd ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_without_policyd_all_mail_waits_and_goes_on_when_it_is_back(lab: Lab, forcetls: Forcetls, number: int):
    mix = Mix(lab, forcetls)
    forcetls.policyd.signal(number)
    wait_for(lambda: forcetls.policyd.pid is None, DEADLINE_S, "policyd to be gone")
    mix.hand_in(2)
    over_smtp = lab.send(mix.good.address(), "alice@ours.example")
    assert {reply.code for reply in over_smtp.replies.values()} == {451}
    assert "forcetls-policyd does not answer" in over_smtp.replies[mix.good.address()].text
    for submission in mix.all():
        outcome = lab.outcome(submission)
        assert (outcome.status, outcome.dsn) == ("deferred", "4.7.5")
    mix.assert_nothing_left()
    forcetls.start_policyd()
    mix.assert_each_arrives_once_and_none_in_clear()


def test_mail_to_our_own_users_by_sendmail_does_not_need_policyd(lab: Lab, forcetls: Forcetls):
    lab.forget_local_mail()
    forcetls.policyd.kill()
    submission = lab.sendmail("alice@ours.example")
    assert lab.outcome(submission).status == "sent"
    assert any(submission.token in message for message in lab.local_mail(ALICE))


def test_while_policyd_hangs_deliveries_wait_and_go_on_when_it_does(lab: Lab, forcetls: Forcetls):
    mix = Mix(lab, forcetls)
    forcetls.policyd.signal(signal.SIGSTOP)
    mix.hand_in(2)
    wait_for(lambda: {entry["queue_name"] for entry in lab.postfix.queue()} == {"active"}, DEADLINE_S, "all active")
    mix.assert_nothing_left()
    assert not any(lab.postfix.log.outcomes(submission.queue_id) for submission in mix.all())
    forcetls.policyd.signal(signal.SIGCONT)
    for submission in (*mix.to(mix.good), *mix.to(mix.free)):
        assert lab.outcome(submission).status == "sent", "without a flush"
    mix.assert_each_arrives_once_and_none_in_clear()


def test_a_hanging_policyd_costs_the_client_seconds_and_a_clear_4xx(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("good")
    _impatient(lab, "smtpd_recipient_restrictions")
    forcetls.policyd.signal(signal.SIGSTOP)
    submission = lab.send(partner.address())
    forcetls.policyd.signal(signal.SIGCONT)
    reply = submission.replies[partner.address()]
    assert reply.code == 451 and "forcetls-policyd does not answer; try again later" in reply.text
    forcetls.wait_for_answer("tls", partner.domain, "NOTFOUND")
    assert lab.outcome(lab.send(partner.address())).status == "sent"


def test_a_hanging_policyd_that_is_killed_and_started_again_loses_nothing(lab: Lab, forcetls: Forcetls):
    mix = Mix(lab, forcetls)
    forcetls.policyd.signal(signal.SIGSTOP)
    mix.hand_in(2)
    forcetls.policyd.kill()
    forcetls.start_policyd()
    for submission in mix.all():
        assert lab.outcome(submission)
    mix.assert_each_arrives_once_and_none_in_clear()


def test_policyd_restarted_again_and_again_under_load_loses_and_leaks_nothing(lab: Lab, forcetls: Forcetls):
    mix = Mix(lab, forcetls)
    ended = threading.Event()

    def hand_in() -> None:
        try:
            mix.hand_in(MESSAGES)
        finally:
            ended.set()

    sender = threading.Thread(target=hand_in)
    sender.start()
    restarts = 0
    while not ended.is_set() or restarts < RESTARTS:
        if restarts % 2:
            forcetls.policyd.kill()
        else:
            assert forcetls.policyd.stop() == 0
        forcetls.start_policyd()
        restarts += 1
    sender.join()
    print(f"{restarts} restarts while {len(mix.all())} messages came in")
    assert len(mix.all()) == 3 * MESSAGES
    mix.assert_each_arrives_once_and_none_in_clear()


def test_new_mail_to_a_destination_that_an_outage_throttled_goes_after_a_flush(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("good")
    forcetls.policyd.kill()
    waiting = [lab.sendmail(partner.address()) for _ in range(12)]
    for submission in waiting:
        assert lab.outcome(submission).status == "deferred"
    forcetls.start_policyd()
    waiting.append(lab.send(partner.address()))
    lab.outcome(waiting[-1])
    lab.postfix.flush()
    for submission in waiting:
        assert lab.outcome(submission, status="sent")
    assert len(partner.messages) == len(waiting)


# -- SIGTERM with requests in flight -----------------------------------------------------------------------------------

def test_at_sigterm_each_request_that_was_sent_gets_its_reply(forcetls: Forcetls):
    requests = 2000
    with SocketmapClient(forcetls.map_address) as maps, PolicyClient(forcetls.policy_address) as policies, \
            SocketmapClient(forcetls.map_address) as idle, SocketmapClient(forcetls.map_address) as unfinished:
        for client in (maps, idle, unfinished):
            client.lookup("tls", "x.example")
        assert policies.ask() == "DUNNO"
        forcetls.policyd.signal(signal.SIGSTOP)
        maps.send(netstring(b"tls x.example") * requests)
        policies.send(b"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=u@x.example\n\n" * 500)
        unfinished.send(b"20:tls x")
        forcetls.policyd.signal(signal.SIGTERM)
        forcetls.policyd.signal(signal.SIGCONT)
        assert [maps.read_answer() for _ in range(requests)] == ["NOTFOUND "] * requests
        assert [policies.read_action() for _ in range(500)] == ["DUNNO"] * 500
        assert all(client.is_closed_by_server() for client in (maps, policies, idle, unfinished))
    assert forcetls.policyd.stop() == 0


def test_a_second_sigterm_does_not_kill_a_policyd_that_is_giving_its_last_answers(forcetls: Forcetls):
    requests = 2000
    with SocketmapClient(forcetls.map_address) as client:
        client.lookup("tls", "x.example")
        forcetls.policyd.signal(signal.SIGSTOP)
        client.send(netstring(b"tls x.example") * requests)
        forcetls.policyd.signal(signal.SIGTERM)
        forcetls.policyd.signal(signal.SIGCONT)
        assert client.read_answer() == "NOTFOUND "
        while forcetls.policyd.pid is not None:
            forcetls.policyd.signal(signal.SIGTERM)
        assert [client.read_answer() for _ in range(requests - 1)] == ["NOTFOUND "] * (requests - 1)
    assert forcetls.policyd.stop() == 0


def test_a_client_that_connected_before_sigterm_is_answered(forcetls: Forcetls):
    """It is in the backlog, its request sent, when the signal comes."""
    forcetls.policyd.signal(signal.SIGSTOP)
    with SocketmapClient(forcetls.map_address) as client:
        client.send(netstring(b"tls x.example"))
        forcetls.policyd.signal(signal.SIGTERM)
        forcetls.policyd.signal(signal.SIGCONT)
        try:
            assert client.read_answer() == "NOTFOUND "
        except (ProtocolError, OSError) as error:
            pytest.fail(f"hung up without an answer: {error}")
    assert forcetls.policyd.stop() == 0


# -- the milter ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_without_the_milter_smtp_clients_are_told_to_come_again_and_the_queue_goes_on(
        lab: Lab, forcetls: Forcetls, number: int):
    mix = Mix(lab, forcetls)
    forcetls.milter.signal(number)
    wait_for(lambda: forcetls.milter.pid is None, DEADLINE_S, "the milter to be gone")
    refused = lab.send(mix.good.address())
    assert refused.mail.code == 451 and not refused.queue_id
    # sendmail(1) takes the message all the same; it waits in maildrop, and nobody need be told.
    local = Submission(compose())
    assert lab.postfix.sendmail(SENDER, [mix.good.address()], local.message, user="alice").returncode == 0
    lab.postfix.log.wait_for_line("milter-reject|Milter service|connect to Milter")
    forcetls.start_milter()
    mix.hand_in(1)  # pickup(8) looks through all of maildrop when something new comes, or after 60 s
    local.queue_id = lab.postfix.log.wait_for_queue_id(local.message.message_id)
    mix.to(mix.good).append(local)
    mix.assert_each_arrives_once_and_none_in_clear()
    maildrop = lab.postfix.queue_directory / "maildrop"  # pickup(8) removes a file just after it is in the queue
    wait_for(lambda: not list(maildrop.iterdir()), DEADLINE_S, "maildrop to be empty", lab.postfix.log.tail)


def test_while_the_milter_hangs_smtp_clients_get_a_4xx_and_mail_goes_on_after_it(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("good")
    _impatient(lab, "smtpd_milters")
    forcetls.milter.signal(signal.SIGSTOP)
    submission = lab.send(partner.address())
    forcetls.milter.signal(signal.SIGCONT)
    assert submission.mail.code == 451 and not submission.queue_id
    assert lab.outcome(lab.send(partner.address())).status == "sent"


def test_a_message_that_loses_its_milter_half_way_is_not_taken(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("clear")
    forcetls.set_policy(f"INSERT INTO domain_policy(domain) VALUES ('{partner.domain}')")
    with lab.client() as client:
        assert client.command("MAIL FROM:<alice@ours.example>").code == 250
        assert client.command(f"RCPT TO:<{partner.address()}>").code == 250
        forcetls.milter.kill()
        reply = client.command("DATA")
        if reply.code == 354:
            reply = client.command("Subject: x\r\n\r\nx\r\n.")
    assert 400 <= reply.code < 500, reply


def test_the_daemons_run_without_any_right_and_leave_no_core_or_file_behind(forcetls: Forcetls):
    for daemon in forcetls.daemons:
        status = Path(f"/proc/{daemon.pid}/status").read_text("ascii")
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
        assert daemon.runs_unprivileged()
        # While it looks at the file, every 10 ms, it has one for some microseconds.
        wait_for(lambda pid=daemon.pid: not any("policy.db" in name for name in _open_files(pid)), DEADLINE_S,
                 "no open descriptor, which would keep a lock or an old file")
    assert {path.name for path in forcetls.policy_db.parent.iterdir()} == {"policy.db"}


def _open_files(pid: int) -> list[str]:
    names = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            names.append(str(link.readlink()))
    return names
