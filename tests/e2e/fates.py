"""What became of a message, in values that can be compared between two configurations of the same mail host."""

from dataclasses import dataclass

from lab.maillog import MailLog
from lab.partner import PartnerServer
from lab.smtp_client import Reply, Submission


@dataclass(frozen=True)
class Fate:
    """What became of a message for one recipient."""

    recipient: str
    reply: int | None
    status: str = ""
    dsn: str = ""
    relay: str = ""
    went: str = ""


def settle(log: MailLog, submission: Submission, recipients: list[str]) -> None:
    """Waits until each recipient that was accepted has an outcome."""
    for recipient in recipients:
        reply = _reply_to(submission, recipient)
        if not reply or reply.accepted:
            log.wait_for_outcome(submission.queue_id, recipient)


def fates_of(
        log: MailLog, servers: list[PartnerServer], submission: Submission, recipients: list[str]) -> list[Fate]:
    """One for each recipient, and one for the bounce if there was one. `servers` may have taken the message."""
    fates = []
    for recipient in recipients:
        reply = _reply_to(submission, recipient)
        code = reply.code if reply else None
        if reply and not reply.accepted:
            fates.append(Fate(recipient, code))
            continue
        outcome = log.wait_for_outcome(submission.queue_id, recipient)
        went = _how_it_went(servers, submission.token, outcome.recipient)
        fates.append(Fate(recipient, code, outcome.status, outcome.dsn, outcome.relay, went))
    if any(fate.status == "bounced" for fate in fates):
        bounce_id = log.wait_for_notification(submission.queue_id)
        outcome = log.wait_for_outcome(bounce_id)
        went = _how_it_went(servers, submission.message.message_id.encode(), outcome.recipient)
        fates.append(Fate(f"bounce to {outcome.recipient}", None, outcome.status, outcome.dsn, outcome.relay, went))
    return fates


def _reply_to(submission: Submission, recipient: str) -> Reply | None:
    """What smtpd said to the recipient, or to MAIL if there was an end to it; None for sendmail(1)."""
    return submission.replies.get(recipient, submission.mail)


def _how_it_went(servers: list[PartnerServer], token: bytes, recipient: str) -> str:
    """The TLS version with which some server took it for the recipient, or CLEAR, or nothing."""
    taken = {message.tls_version or "CLEAR" for server in servers for message in list(server.messages)
             if token in message.data and recipient in message.recipients}
    return ",".join(sorted(taken))
