"""Messages that come back, and messages that waited: no body in clear; each partner gets each message exactly once."""

import re
import time

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.message import compose
from lab.partner import ReceivedMessage
from lab.smtp_client import Submission
from lab.waiting import wait_for


def _sender_partner(lab: Lab, kind: str = "clear") -> Partner:
    """The partner whose domain the sender of a message belongs to."""
    return lab.partners.add(kind)


def _expire_at_once(lab: Lab) -> None:
    lab.postfix.set(maximal_queue_lifetime="0")
    lab.postfix.reload()


def _notification(lab: Lab, submission: Submission, sender: Partner) -> ReceivedMessage:
    """The notification that Postfix made about the message, as the sender's domain received it."""
    new_id = lab.postfix.log.wait_for_notification(submission.queue_id)
    assert lab.postfix.log.wait_for_outcome(new_id).status == "sent"
    found = [message for message in sender.messages
             if b"multipart/report" in message.data and submission.message.message_id.encode() in message.data]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(("kind", "level", "cause"), [
    ("clear", "encrypt", b"TLS is required, but was not offered"),
    ("refused-502", "encrypt", b"refused to start TLS: 502"),
    ("close", "secure", b"Cannot start TLS: handshake failure"),
    ("wrong-name", "secure", b"Server certificate not verified")])
def test_the_bounce_of_an_expired_message_carries_the_reason_but_not_the_body(
        lab: Lab, forcetls: Forcetls, kind: str, level: str, cause: bytes):
    partner, sender = lab.partners.add(kind), _sender_partner(lab)
    forcetls.add_row(partner.domain, level)
    _expire_at_once(lab)
    submission = lab.send(partner.address(), sender=sender.address())
    bounce = _notification(lab, submission, sender)
    assert bounce.in_clear and bounce.sender == ""
    assert b"Action: failed" in bounce.data and cause in re.sub(rb"\s+", b" ", bounce.data)
    assert submission.token not in bounce.data
    lab.assert_never_in_clear(submission.token)


def test_a_sender_who_asks_for_the_full_message_back_gets_the_headers_only(lab: Lab, forcetls: Forcetls):
    partner, sender = lab.partners.add("clear"), _sender_partner(lab)
    forcetls.add_row(partner.domain, "encrypt")
    _expire_at_once(lab)
    with lab.client() as client:
        submission = client.send(sender.address(), [partner.address()], mail_parameters=" RET=FULL ENVID=full")
    assert submission.token not in _notification(lab, submission, sender).data
    lab.assert_never_in_clear(submission.token)


def test_a_success_notification_carries_no_body(lab: Lab, forcetls: Forcetls):
    partner, sender = lab.partners.add("good"), _sender_partner(lab)
    forcetls.add_row(partner.domain, "secure")
    lab.postfix.set(smtp_discard_ehlo_keywords="dsn")
    lab.postfix.reload()
    submission = Submission(compose())
    lab.postfix.sendmail(sender.address(), [partner.address()], submission.message,
                         options=("-N", "success,delay,failure", "-R", "full"))
    submission.queue_id = lab.postfix.log.wait_for_queue_id(submission.message.message_id)
    assert lab.outcome(submission).status == "sent"
    notification = _notification(lab, submission, sender)
    assert b"Action: relayed" in notification.data and submission.token not in notification.data
    lab.assert_never_in_clear(submission.token)


def test_a_delay_warning_carries_no_body(lab: Lab, forcetls: Forcetls):
    partner, sender = lab.partners.add("clear"), _sender_partner(lab)
    forcetls.add_row(partner.domain, "secure")
    lab.postfix.set(delay_warning_time="1s")
    lab.postfix.reload()
    submission = lab.send(partner.address(), sender=sender.address())
    handed_in = time.monotonic()
    assert lab.outcome(submission).dsn == "4.7.4"
    wait_for(lambda: time.monotonic() > handed_in + 2, 10, "the message to be older than delay_warning_time")
    lab.postfix.retry(submission.queue_id)
    warning = _notification(lab, submission, sender)
    assert b"Action: delayed" in warning.data and b"TLS is required" in warning.data
    assert submission.token not in warning.data
    lab.assert_never_in_clear(submission.token)


def test_the_bounce_to_a_forced_sender_domain_waits_for_tls_too(lab: Lab, forcetls: Forcetls):
    partner, sender = lab.partners.add("clear"), _sender_partner(lab)
    forcetls.add_row(partner.domain, "encrypt")
    forcetls.add_row(sender.domain, "secure")
    submission = lab.send(partner.address(), sender=sender.address())
    assert lab.outcome(submission).dsn == "4.7.4"
    lab.postfix.expire(submission.queue_id)
    bounce_id = lab.postfix.log.wait_for_notification(submission.queue_id)
    assert lab.postfix.log.wait_for_outcome(bounce_id).dsn == "4.7.4"
    assert not sender.saw_in_clear(submission.message.message_id.encode())
    lab.partners.change(sender, "good")
    lab.postfix.retry(bounce_id)
    assert lab.postfix.log.wait_for_outcome(bounce_id, attempt=2).status == "sent"
    assert [message.tls_version for message in sender.messages] == ["TLSv1.3"]
    lab.assert_never_in_clear(submission.token)


@pytest.mark.parametrize(("verb", "reply"), [
    ("RCPT", "550 5.1.1 no such user"), ("MAIL", "553 5.1.8 sender refused"), ("EOD", "554 5.6.0 content refused")])
def test_what_the_partner_refuses_for_good_over_tls_bounces_as_ever(
        lab: Lab, forcetls: Forcetls, verb: str, reply: str):
    partner, sender = lab.partners.add("good", replies={verb: reply}), _sender_partner(lab)
    forcetls.add_row(partner.domain, "secure")
    submission = lab.send(partner.address(), sender=sender.address())
    outcome = lab.outcome(submission)
    assert (outcome.status, outcome.dsn) == ("bounced", reply.split()[1])
    bounce = _notification(lab, submission, sender)
    assert reply.encode() in bounce.data and submission.token not in bounce.data
    lab.assert_never_in_clear(submission.token)


def test_a_partner_that_only_says_that_tls_is_needed_is_believed_about_its_5xx(lab: Lab, forcetls: Forcetls):
    """The delivery status filter looks for Postfix's own sentence, at its beginning; a partner cannot forge it."""
    forged = "550 5.7.1 TLS is required, but host x refused to start TLS: 502 no"
    partner = lab.partners.add("good", replies={"RCPT": forged})
    forcetls.add_row(partner.domain, "secure")
    assert lab.outcome(lab.send(partner.address())).status == "bounced"


BREAKAGES = ("clear", "refused-454", "refused-502", "garbage", "alert", "close", "drop", "expired", "unknown-ca",
             "wrong-name", "tls1.1", "anonymous")
MESSAGES_EACH = 3


def test_a_broken_partner_gets_every_message_exactly_once_when_it_is_mended(lab: Lab, forcetls: Forcetls):
    partners = [lab.partners.add(kind) for kind in BREAKAGES]
    for partner in partners:
        forcetls.add_row(partner.domain, "secure")
    sent = [(partner, lab.send(partner.address())) for partner in partners for _ in range(MESSAGES_EACH)]
    for partner, submission in sent:
        assert lab.outcome(submission).status == "deferred", partner.kind
    for partner in partners:
        assert not partner.messages
        lab.partners.change(partner, "good")
    lab.postfix.flush()
    for partner, submission in sent:
        assert lab.outcome(submission, status="sent").dsn == "2.0.0", partner.kind
        lab.postfix.log.wait_until_removed(submission.queue_id)
        assert [message.tls_version for message in partner.received(submission.token)] == ["TLSv1.3"], partner.kind
        assert submission.queue_id not in lab.postfix.log.notifications
        lab.assert_never_in_clear(submission.token)
    assert all(len(partner.messages) == MESSAGES_EACH for partner in partners)
    assert lab.postfix.queue() == []


def test_a_partner_whose_starttls_is_refused_with_5xx_gets_the_message_when_it_is_mended(lab: Lab, forcetls: Forcetls):
    partner, sender = lab.partners.add("refused-502"), _sender_partner(lab)
    forcetls.add_row(partner.domain, "encrypt")
    submission = lab.send(partner.address(), sender=sender.address())
    for attempt in (1, 2):
        outcome = lab.outcome(submission, attempt=attempt)
        assert (outcome.status, outcome.dsn) == ("deferred", "4.5.1"), str(outcome)
        lab.partners.change(partner, ("refused-502", "good")[attempt - 1])
        lab.postfix.retry(submission.queue_id)
    assert lab.outcome(submission, attempt=3).status == "sent"
    assert [message.tls_version for message in partner.received(submission.token)] == ["TLSv1.3"]
    assert not sender.sessions
    lab.assert_never_in_clear(submission.token)
