"""The header TLS-Required: no (RFC 8689 section 5): Postfix 3.10 and later drop every TLS policy for a message with it.

An older Postfix ignores it; which one this is the lab's Postfix says. Two of forcetls' lines stand against it: the
milter, which refuses the message so that its sender hears of it, and tls_required_enable = no, which holds it also
where the milter cannot know that it will go to a forced domain.
"""

from typing import Callable

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.host_files import ALICE
from lab.lab import Lab
from lab.message import compose
from lab.smtp_client import Submission
from rows import add_row

NO = {"lines": "TLS-Required: no\n"}
# What compose() is given. Postfix 3.10 obeys each of these ...
OBEYED = {
    "as the RFC has it": {"lines": "TLS-Required: No\n"},
    "small letters": {"lines": "tls-required: no\n"},
    "capitals": {"lines": "TLS-REQUIRED: NO\n"},
    "no blank": {"lines": "TLS-Required:no\n"},
    "many blanks": {"lines": "TLS-Required: \t  no\n"},
    "a form feed": {"lines": "TLS-Required:\fno\n"},
    "folded": {"lines": "TLS-Required:\n no\n"},
    "folded by a tab": {"lines": "TLS-Required:\n\tno\n"},
    "folded over blank lines": {"lines": "TLS-Required:\n \n \t\n no\n"},
    "blank before the colon": {"lines": "TLS-Required : no\n"},
    "tab before the colon": {"lines": "TLS-Required\t: no\n"},
    "NUL behind it": {"lines": "TLS-Required: no\0yes\n"},
    "the last of several": {"lines": "TLS-Required: yes\nTLS-Required: yes\nTLS-Required: no\n"},
    "the first of several": {"lines": "TLS-Required: no\nTLS-Required: yes\n"},
}
# ... and none of these. Blanks behind the word the milter does not let pass all the same.
BLANKS_BEHIND = {"blanks behind it": {"lines": "TLS-Required: no \t\n"},
                 "folded behind it": {"lines": "TLS-Required: no\n \n"}}
NOT_OBEYED = {
    "yes": {"lines": "TLS-Required: yes\n"},
    "empty": {"lines": "TLS-Required:\n"},
    "comment behind": {"lines": "TLS-Required: no (really)\n"},
    "comment before": {"lines": "TLS-Required: (really) no\n"},
    "quoted": {"lines": 'TLS-Required: "no"\n'},
    "a list": {"lines": "TLS-Required: no, no\n"},
    "an encoded word": {"lines": "TLS-Required: =?us-ascii?q?no?=\n"},
    "folded within the word": {"lines": "TLS-Required: n\n o\n"},
    "folded within the name": {"lines": "TLS-Required\n : no\n"},
    "another name": {"lines": "X-TLS-Required: no\nTLS_Required: no\nResent-TLS-Required: no\n"},
    "behind a line that is no header": {"lines": "no header\nTLS-Required: no\n"},
    "in the body": {"text": "TLS-Required: no\n"},
    "in a nested message": {"lines": "MIME-Version: 1.0\nContent-Type: message/rfc822\n",
                            "text": "Subject: nested\nTLS-Required: no\n\n"},
    "in a part": {"lines": 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n',
                  "text": "--b\nTLS-Required: no\n\n"},
}
ALL = OBEYED | BLANKS_BEHIND | NOT_OBEYED
WAYS = {"SMTP": Lab.send, "sendmail(1)": Lab.sendmail}


def _without(lab: Lab, *, milter: bool = False, parameter: bool = False) -> None:
    """Takes forcetls' lines about the milter, or about tls_required_enable, out of main.cf."""
    lab.postfix.unset(*["smtpd_milters", "non_smtpd_milters"] if milter else [],
                      *["tls_required_enable"] if parameter else [])
    # Else a few messages that must wait would make the others wait untried, whatever their header.
    lab.postfix.set(default_destination_concurrency_failed_cohort_limit="1000")
    lab.postfix.reload()


def _hand_in_all(lab: Lab, partner: Partner, send: Callable[..., Submission]) -> dict[str, Submission]:
    return {what: send(lab, partner.address(), message=compose(**parts)) for what, parts in ALL.items()}


def _fate(lab: Lab, submission: Submission) -> str:
    """The code if it was refused, or what became of it."""
    refused = submission.end_of_data is not None and not submission.end_of_data.accepted
    return str(submission.end_of_data.code) if refused else lab.outcome(submission).status


def _fates(lab: Lab, sent: dict[str, Submission]) -> dict[str, str]:
    return {what: _fate(lab, submission) for what, submission in sent.items()}


def _assert_none_in_clear(lab: Lab, submissions: list[Submission]) -> None:
    assert not {submission.token for submission in submissions} & lab.capture.found(rb"body-\d+-secret")
    assert not any(lab.partners.saw_in_clear(submission.token) for submission in submissions)


# -- the spellings -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("way", WAYS)
def test_without_forcetls_lines_the_header_is_a_way_round_the_row_where_postfix_obeys_it(
        lab: Lab, forcetls: Forcetls, way: str):
    partner = add_row(lab, forcetls, kind="clear", outbound="encrypt")
    _without(lab, milter=True, parameter=True)
    sent = _hand_in_all(lab, partner, WAYS[way])
    obeyed = set(OBEYED) if lab.postfix.obeys_tls_required_no else set()
    assert _fates(lab, sent) == {what: "sent" if what in obeyed else "deferred" for what in ALL}
    in_clear = lab.capture.found(rb"body-\d+-secret")
    assert {what for what, submission in sent.items() if submission.token in in_clear} == obeyed


@pytest.mark.parametrize(("way", "refused"), [("SMTP", "550"), ("sendmail(1)", "bounced")])
def test_the_milter_refuses_every_spelling_that_postfix_obeys_and_no_other_header(
        lab: Lab, forcetls: Forcetls, way: str, refused: str):
    partner = add_row(lab, forcetls, kind="clear", outbound="encrypt")
    _without(lab, parameter=True)  # the milter alone
    sent = _hand_in_all(lab, partner, WAYS[way])
    words = OBEYED | BLANKS_BEHIND if lab.postfix.obeys_tls_required_no else {}
    assert _fates(lab, sent) == {what: refused if what in words else "deferred" for what in ALL}
    assert not partner.messages
    _assert_none_in_clear(lab, list(sent.values()))


def test_the_refusal_names_the_domain_and_the_header(lab: Lab, forcetls: Forcetls):
    if not lab.postfix.obeys_tls_required_no:
        forcetls.set_policy("UPDATE setting SET value = 'reject' WHERE name = 'tls_required_header'")
    partner = add_row(lab, forcetls, kind="clear", outbound="encrypt")
    lab.forget_local_mail()
    text = f"TLS is required for {partner.domain}; remove the header TLS-Required: no"
    assert lab.send(partner.address(), message=compose(**NO)).end_of_data.text == f"550 5.7.1 {text}"
    submission = lab.sendmail(partner.address(), message=compose(**NO))
    assert text in lab.outcome(submission).text
    notification = lab.postfix.log.wait_for_notification(submission.queue_id)
    assert lab.postfix.log.wait_for_outcome(notification).status == "sent"
    message_id = submission.message.message_id.encode()  # Others may come late, of other tests.
    [bounce] = [message for message in lab.local_mail(ALICE) if message_id in message]
    assert text in b" ".join(bounce.split()).decode() and submission.token not in bounce
    _assert_none_in_clear(lab, [submission])


def test_without_the_milter_the_parameter_holds_every_spelling(lab: Lab, forcetls: Forcetls):
    partner = add_row(lab, forcetls, kind="clear", outbound="encrypt")
    _without(lab, milter=True)
    sent = _hand_in_all(lab, partner, Lab.send)
    assert set(_fates(lab, sent).values()) == {"deferred"}
    _assert_none_in_clear(lab, list(sent.values()))


# -- where the milter does not see the forced domain -------------------------------------------------------------------

BOTH = pytest.mark.parametrize("parameter", [True, False], ids=["with tls_required_enable=no", "without it"])


def _expected(lab: Lab, parameter: bool) -> str:
    """The limit that the README names: without the parameter such mail leaves in clear."""
    return "deferred" if parameter or not lab.postfix.obeys_tls_required_no else "sent"


@BOTH
def test_what_reaches_a_forced_domain_by_another_address_waits_if_the_parameter_is_set(
        lab: Lab, forcetls: Forcetls, parameter: bool):
    partner = add_row(lab, forcetls, kind="clear", outbound="encrypt")
    target = partner.address()
    tables = {"alias_maps": {"by-alias": target}, "virtual_alias_maps": {"by-virtual@ours.example": target},
              "recipient_canonical_maps": {"by-canonical@ours.example": target},
              "recipient_bcc_maps": {"bob@ours.example": target}}
    lab.postfix.set(**{name: lab.postfix.table(f"{name}-{partner.domain}", entries)
                       for name, entries in tables.items()})
    _without(lab, parameter=not parameter)
    expected = _expected(lab, parameter)
    for local_part, queue_file in (("by-alias", 2), ("by-virtual", 1), ("by-canonical", 1), ("bob", 1)):
        submission = lab.send(f"{local_part}@ours.example", message=compose(**NO))
        queue_id = lab.postfix.log.wait_for_queue_id(submission.message.message_id, number=queue_file)
        outcome = lab.postfix.log.wait_for_outcome(queue_id, target)
        assert outcome.status == expected, f"{local_part}: {outcome}"
        assert lab.went_in_clear(submission.token) == (expected == "sent"), local_part


@BOTH
def test_the_notification_of_such_a_message_waits_for_tls_if_the_parameter_is_set(
        lab: Lab, forcetls: Forcetls, parameter: bool):
    """Postfix puts the header into the notification, too."""
    sender = add_row(lab, forcetls, kind="clear", outbound="encrypt")
    recipient = lab.partners.add("good", replies={"RCPT": "550 5.1.1 no such user"})
    _without(lab, parameter=not parameter)
    submission = lab.send(recipient.address(), sender=sender.address(), message=compose(**NO))
    assert lab.outcome(submission).status == "bounced"
    notification = lab.postfix.log.wait_for_notification(submission.queue_id)
    assert lab.postfix.log.wait_for_outcome(notification).status == _expected(lab, parameter)
    lab.assert_never_in_clear(submission.token)


@BOTH
def test_what_was_queued_before_the_row_waits_for_tls_if_the_parameter_is_set(
        lab: Lab, forcetls: Forcetls, parameter: bool):
    partner = lab.partners.add("clear", replies={"RCPT": "450 4.2.1 later"})
    _without(lab, parameter=not parameter)
    submission = lab.send(partner.address(), message=compose(**NO))
    assert lab.outcome(submission).dsn == "4.2.1"
    forcetls.add_row(partner.domain, "encrypt")
    lab.partners.change(partner, "clear")
    lab.postfix.retry(submission.queue_id)
    assert lab.outcome(submission, attempt=2).status == _expected(lab, parameter)
