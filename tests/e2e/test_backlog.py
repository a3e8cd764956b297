"""A row is added or tightened while mail flows: from the commit on, only what was in flight goes by the old rule."""

import subprocess
import threading
from dataclasses import dataclass
from math import ceil
from time import monotonic

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.lab import SENDER, Lab
from lab.partner import Session
from lab.smtp_client import Submission
from lab.waiting import wait_for

BACKLOG = 300
FLOWING = 40
CLIENTS = 3
REPLY_DELAY_S = 0.2
DEADLINE_S = 60


@dataclass(frozen=True)
class Change:
    """How the policy of {domain} is tightened: SQL before the flow begins, and SQL in the middle of it."""

    kind: str
    before: str
    flip: str
    answer: str


INSERT = "INSERT INTO domain_policy(domain, outbound, match) VALUES ('{domain}', "
SUSPEND = ("; INSERT INTO suspension(domain, level, ends_at, reason) "
           "VALUES ('{domain}', 'may', datetime('now', '+1 hours'), 'a test')")
CHANGES = {
    "a row is added": Change("clear", "", INSERT + "'encrypt', NULL)", "OK encrypt"),
    "may becomes secure": Change(
        "clear", INSERT + "'may', NULL)", "UPDATE domain_policy SET outbound = 'secure' WHERE domain = '{domain}'",
        "OK secure"),
    "a suspension is ended early": Change(
        "clear", INSERT + "'secure', NULL)" + SUSPEND,
        "UPDATE suspension SET ends_at = datetime('now') WHERE domain = '{domain}'", "OK secure"),
    "a row in test is enforced": Change(
        "clear", INSERT + "'secure', NULL); UPDATE domain_policy SET mode = 'test' WHERE domain = '{domain}'",
        "UPDATE domain_policy SET mode = 'enforce' WHERE domain = '{domain}'", "OK secure"),
    "verify becomes secure with another name": Change(
        "tls1.2", INSERT + "'verify', NULL)",
        "UPDATE domain_policy SET outbound = 'secure', match = 'only.this.example' WHERE domain = '{domain}'",
        "OK secure match=only.this.example"),
}


def _hand_in(lab: Lab, partner: Partner, count: int) -> list[Submission]:
    """Several clients at once, as fast as they can."""
    submissions: list[Submission] = []

    def send(share: int) -> None:
        with lab.client() as client:
            submissions.extend(client.send(SENDER, [partner.address()]) for _ in range(share))
            client.quit()

    clients = [threading.Thread(target=send, args=(count // CLIENTS,)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert all(submission.queue_id for submission in submissions)
    return submissions


def _has_outcome(lab: Lab, submission: Submission) -> bool:
    return bool(lab.postfix.log.outcomes(submission.queue_id))


def _with_mail(sessions: list[Session]) -> int:
    """How many of the sessions carried a message."""
    return sum(any(command.upper().startswith("MAIL") for _, command in session.commands) for session in sessions)


@pytest.mark.parametrize("name", CHANGES)
def test_after_the_commit_at_most_the_messages_in_flight_go_by_the_old_rule(lab: Lab, forcetls: Forcetls, name: str):
    change = CHANGES[name]
    gate = threading.Event()
    partner = lab.partners.add(change.kind, gates={"BANNER": gate}, delays_s={"EOD": REPLY_DELAY_S})
    if change.before:
        forcetls.set_policy(change.before.format(domain=partner.domain))
    submissions = _hand_in(lab, partner, BACKLOG)
    gate.set()
    wait_for(lambda: len(partner.messages) >= FLOWING, DEADLINE_S, "the backlog to flow", lab.postfix.log.tail)

    forcetls.set_policy(change.flip.format(domain=partner.domain))
    # In this order: what is taken after at_commit is of one of these sessions or of a later one, begun after commit.
    commit, sessions_at_commit, at_commit = monotonic(), partner.server.connections, len(partner.messages)
    forcetls.wait_for_answer("tls", partner.domain, change.answer)
    in_force_after_s = monotonic() - commit
    sessions_at_effect = partner.server.connections
    wait_for(lambda: all(_has_outcome(lab, submission) for submission in submissions), DEADLINE_S,
             "each message to have an outcome", lab.postfix.log.tail)

    taken = {message.data for message in partner.messages}
    assert len(taken) == len(partner.messages), "a message was delivered twice"
    by_the_old_rule = len(partner.messages) - at_commit
    begun_later = _with_mail(partner.server.sessions[sessions_at_commit:])
    print(f"{name}: {at_commit} of {BACKLOG} before the commit, {by_the_old_rule} after it by the old rule, "
          f"{begun_later} of them begun after it; in force after {in_force_after_s * 1000:.0f} ms")
    assert FLOWING <= at_commit < BACKLOG, "the change came too late to show anything"
    # In flight: one for each smtp(8). Until the row is in force, each that ends may begin another one.
    at_once = int(lab.postfix.get("default_destination_concurrency_limit"))
    assert begun_later <= at_once * (ceil(in_force_after_s / REPLY_DELAY_S) + 1)
    assert by_the_old_rule <= at_once + begun_later
    # Connections that begin later carry nothing, but for those whose lookup came just before.
    assert _with_mail(partner.server.sessions[sessions_at_effect:]) <= at_once
    waiting = [submission for submission in submissions if not partner.received(submission.token)]
    assert len(waiting) == len(submissions) - len(partner.messages)
    assert {outcome.status for submission in waiting for outcome in lab.postfix.log.outcomes(submission.queue_id)} \
        == {"deferred"}
    in_clear = {submission.token for submission in submissions} & lab.capture.found(rb"body-\d+-secret")
    assert len(in_clear) == (0 if change.kind.startswith("tls") else len(partner.messages))
    assert not any(message.tls_resumed for message in partner.messages)


def test_a_message_handed_in_once_the_row_is_in_force_never_goes_by_the_old_rule(lab: Lab, forcetls: Forcetls):
    """One at a time, so that none is in flight at the commit; at the latest 50 ms after it the row is in force."""
    for number in range(10):
        partner = lab.partners.add("clear")
        assert lab.outcome(lab.send(partner.address())).status == "sent"
        forcetls.set_policy(f"INSERT INTO domain_policy(domain) VALUES ('{partner.domain}')")
        forcetls.wait_for_answer("tls", partner.domain, "OK encrypt", 1)
        submission = lab.send(partner.address())
        assert lab.outcome(submission).dsn == "4.7.4", f"message {number}"
        lab.assert_never_in_clear(submission.token)


def test_a_tls_session_is_not_resumed_past_a_new_name_check(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("tls1.2")
    forcetls.set_policy(f"INSERT INTO domain_policy(domain, outbound) VALUES ('{partner.domain}', 'verify')")
    forcetls.wait_for_answer("tls", partner.domain, "OK verify")
    for _ in range(2):
        assert lab.outcome(lab.send(partner.address())).status == "sent"
    forcetls.set_policy("UPDATE domain_policy SET outbound = 'secure', match = 'only.this.example' "
                        f"WHERE domain = '{partner.domain}'")
    forcetls.wait_for_answer("tls", partner.domain, "OK secure")
    refused = lab.send(partner.address())
    assert "Server certificate not verified" in lab.outcome(refused).text
    assert not partner.received(refused.token)
    assert [message.tls_resumed for message in partner.messages] == [False, False]


def test_a_relaxed_row_lets_the_backlog_go_without_reload(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("clear")
    forcetls.set_policy(f"INSERT INTO domain_policy(domain) VALUES ('{partner.domain}')")
    forcetls.wait_for_answer("tls", partner.domain, "OK encrypt")
    waiting = [lab.send(partner.address()) for _ in range(10)]
    assert {lab.outcome(submission).status for submission in waiting} == {"deferred"}
    assert not any(partner.saw_in_clear(submission.token) for submission in waiting)
    forcetls.set_policy(f"DELETE FROM domain_policy WHERE domain = '{partner.domain}'")
    forcetls.wait_for_answer("tls", partner.domain, "NOTFOUND")
    lab.postfix.flush()
    for submission in waiting:
        assert lab.outcome(submission, status="sent")
    assert len(partner.messages) == len(waiting)


def test_a_transaction_in_an_open_shell_counts_from_its_commit_on(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("clear")
    with subprocess.Popen(["sqlite3", str(forcetls.policy_db)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as shell:
        shell.stdin.write(f"BEGIN;\nINSERT INTO domain_policy(domain) VALUES ('{partner.domain}');\nSELECT 'typed';\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == "typed\n"
        before = lab.send(partner.address())
        assert lab.outcome(before).status == "sent"
        shell.stdin.write("COMMIT;\nSELECT 'committed';\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == "committed\n"
        forcetls.wait_for_answer("tls", partner.domain, "OK encrypt", 1)
        after = lab.send(partner.address())
        assert lab.outcome(after).dsn == "4.7.4"
        shell.stdin.close()
    lab.assert_never_in_clear(after.token)
