"""How the messages of bypasses.py are handed in, where it takes more than a few lines of SMTP."""

import threading

from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.message import compose
from lab.network import OUTSIDE_CLIENT
from lab.partner import Behaviour, PartnerServer
from lab.smtp_client import Submission
from lab.waiting import wait_for
from sites import Case, Play, by_smtp

BACKLOG = 6
DEADLINE_S = 60


def by_port(port: int, source: str | None = None) -> Play:
    """By SMTP to another port of this host."""

    def play(lab: Lab, forcetls: Forcetls, case: Case) -> Submission:
        del forcetls
        with lab.client(source, port) as client:
            submission = client.send(case.sender, [case.recipient])
            client.quit()
        return submission

    return play


def from_outside(port: int) -> Play:
    """By SMTP in clear, from a client that may relay but is not on this host or its networks."""
    return by_port(port, OUTSIDE_CLIENT)


def by_sendmail(lines: str = "") -> Play:
    """By sendmail(1)."""

    def play(lab: Lab, forcetls: Forcetls, case: Case) -> Submission:
        del forcetls
        return lab.sendmail(case.recipient, sender=case.sender, message=compose(lines=lines))

    return play


def with_headers(lines: str) -> Play:
    """By SMTP, with these lines in its head."""

    def play(lab: Lab, forcetls: Forcetls, case: Case) -> Submission:
        del forcetls
        return lab.send(case.recipient, sender=case.sender, message=compose(lines=lines))

    return play


def copied(lab: Lab, forcetls: Forcetls, case: Case) -> Submission:
    """By SMTP, to a site that makes a copy: waits for both outcomes."""
    del forcetls
    submission = lab.send(case.recipient, sender=case.sender)
    lab.outcome(submission, attempt=2)
    return submission


class Turnstile:
    """A gate of a partner's Behaviour that lets a number of messages through."""

    def __init__(self) -> None:
        self._passes = threading.Semaphore(0)

    def wait(self, timeout_s: float) -> bool:
        """Called by the partner."""
        return self._passes.acquire(timeout=timeout_s)

    def let(self, count: int) -> None:
        """Lets so many messages more through."""
        for _ in range(count):
            self._passes.release()


def after_a_clear_backlog(lab: Lab, forcetls: Forcetls, case: Case) -> Submission:
    """A message of a backlog that flows, one message at a time; its turn comes when the row is in force."""
    domain, server = case.partner.domain, case.partner.server
    forcetls.set_policy(f"DELETE FROM domain_policy WHERE domain = '{domain}'")
    forcetls.wait_for_answer("tls", domain, "NOTFOUND")
    gate = Turnstile()
    server.behaviour = Behaviour(gates={"EOD": gate})
    taken = len(server.messages)
    with lab.client() as client:
        submissions = [client.send(case.sender, [case.recipient]) for _ in range(BACKLOG)]
        client.quit()
    gate.let(1)
    wait_for(lambda: len(server.messages) == taken + 1 and len(_begun(server, submissions)) == 2, DEADLINE_S,
             "the backlog to flow", lab.postfix.log.tail)
    begun = _begun(server, submissions)
    forcetls.add_row(domain, "encrypt")
    gate.let(BACKLOG)
    return next(submission for submission in reversed(submissions) if submission not in begun)


def _begun(server: PartnerServer, submissions: list[Submission]) -> list[Submission]:
    """Those that the server has been told, wholly or in part."""
    seen = server.clear_bytes()
    return [submission for submission in submissions if submission.token in seen]


def after_a_delivery_by_another_name(lab: Lab, forcetls: Forcetls, case: Case) -> Submission:
    """A first message goes as the row wants; the row then wants another name, and a second message is sent.

    The level stays what it is: since 3.10.3 a session is found again only at the level at which it was made.
    """
    domain, name = case.partner.domain, case.text("{mx}")
    update = "UPDATE domain_policy SET outbound = 'secure', match = '{}' WHERE domain = '{}'"
    forcetls.set_policy(update.format(name, domain))
    forcetls.wait_for_answer("tls", domain, f"OK secure match={name}")
    assert lab.outcome(lab.send(case.recipient, sender=case.sender)).status == "sent"
    forcetls.set_policy(update.format("only.this.example", domain))
    forcetls.wait_for_answer("tls", domain, "OK secure match=only.this.example")
    return lab.send(case.recipient, sender=case.sender)


def until_it_expires(lab: Lab, forcetls: Forcetls, case: Case) -> Submission:
    """The message waits, is given up, and its bounce is delivered to the sender's domain."""
    del forcetls
    submission = lab.send(case.recipient, sender=case.sender)
    _wait_until_deferred(lab, submission)
    lab.postfix.expire(submission.queue_id)
    notification = lab.postfix.log.wait_for_notification(submission.queue_id)
    assert lab.postfix.log.wait_for_outcome(notification).status == "sent"
    return submission


def queued_with_a_filter(lab: Lab, forcetls: Forcetls, case: Case) -> Submission:
    """A message that was queued with a FILTER while the relay was out of order, and is tried again when it is not.

    Two are queued the first time: the second one is what is still in the queue when the site has been put right.
    """
    if not case.state:
        case.servers["relay"].behaviour = Behaviour(replies={"MAIL": "451 4.3.0 out of order"})
        case.state["queued"] = [by_smtp(lab, forcetls, case) for _ in range(2)]
        for submission in case.state["queued"]:
            _wait_until_deferred(lab, submission)
        case.servers["relay"].behaviour = Behaviour()
    submission = case.state["queued"].pop(0)
    if submission.queue_id in {message["queue_id"] for message in lab.postfix.queue()
                               if message["queue_name"] == "deferred"}:
        lab.postfix.retry(submission.queue_id)
        lab.outcome(submission, attempt=2)
    else:  # It was put into the queue anew: pickup, which any sendmail(1) wakes, gives it another queue id.
        lab.sendmail("alice@ours.example")
        submission.queue_id = lab.postfix.log.wait_for_queue_id(submission.message.message_id, number=2)
    return submission


def _wait_until_deferred(lab: Lab, submission: Submission) -> None:
    """Until the message lies in the deferred queue, where it can be tried again."""
    assert lab.outcome(submission).status == "deferred"
    lab.postfix.wait_until_nothing_is_active()
