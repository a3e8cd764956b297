"""Every kind of partner at every level of domain_policy, through a real Postfix with forcetls bolted on.

The words are those of matrix.py. R5* = the partner refused STARTTLS with 5xx and the message waits (without forcetls'
smtp_delivery_status_filter it would bounce). A column is a row of domain_policy, see LEVELS; CLEAR may stand only in
columns that force nothing.
"""

from dataclasses import dataclass

import pytest

from lab.forcetls import Forcetls
from lab.lab import Lab, PostfixPartner
from lab.partner import Behaviour, StartTls
from matrix import Case, make_cases, read_table, send_all

# level -> the columns of its row; {domain} and {digest} are the partner's own.
LEVELS: dict[str, dict[str, str]] = {
    "no row": {},
    "none": {"outbound": "none"},
    "may": {"outbound": "may"},
    "dane": {"outbound": "dane"},
    "encrypt": {"outbound": "encrypt"},
    "verify": {"outbound": "verify"},
    "secure": {"outbound": "secure"},
    "digest": {"outbound": "fingerprint", "match": "{digest}"},
    "dane-only": {"outbound": "dane-only"},
    "hostname": {"outbound": "secure", "match": "hostname"},
    "both": {"outbound": "secure", "match": "nexthop:hostname"},
    "provider": {"outbound": "secure", "match": ".hoster-{domain}"},
    "from 1.0": {"outbound": "encrypt", "min_protocol": "TLSv1"},
    "from 1.3": {"outbound": "encrypt", "min_protocol": "TLSv1.3"},
    "medium": {"outbound": "encrypt", "ciphers": "medium"},
    "v from 1.3": {"outbound": "verify", "min_protocol": "TLSv1.3", "ciphers": "medium"},
}
NOT_FORCED = ("no row", "none", "may", "dane")

# The levels as they come.
OUTCOMES = read_table("""
partner               | no row | none  | may   | dane  | encrypt | verify | secure | digest | dane-only
good                  | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | 1.3    | 1.3    | 1.3    | ND
clear                 | CLEAR  | CLEAR | CLEAR | CLEAR | NO      | NO     | NO     | NO     | ND
refused-454           | CLEAR  | CLEAR | CLEAR | CLEAR | R4      | R4     | R4     | R4     | ND
refused-502           | CLEAR  | CLEAR | CLEAR | CLEAR | R5*     | R5*    | R5*    | R5*    | ND
garbage               | HS     | CLEAR | HS    | HS    | HS      | HS     | HS     | HS     | ND
alert                 | HS     | CLEAR | HS    | HS    | HS      | HS     | HS     | HS     | ND
close                 | HS     | CLEAR | HS    | HS    | HS      | HS     | HS     | HS     | ND
hang                  | HS     | CLEAR | HS    | HS    | HS      | HS     | HS     | HS     | ND
drop                  | LC     | CLEAR | LC    | LC    | LC      | LC     | LC     | LC     | ND
expired               | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | NV     | NV     | 1.3    | ND
self-signed           | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | NV     | NV     | 1.3    | ND
wrong-name            | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | NV     | NV     | 1.3    | ND
unknown-ca            | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | NV     | NV     | 1.3    | ND
tls1.0                | 1      | CLEAR | 1     | 1     | HS      | HS     | HS     | HS     | ND
tls1.1                | 1.1    | CLEAR | 1.1   | 1.1   | HS      | HS     | HS     | HS     | ND
tls1.2                | 1.2    | CLEAR | 1.2   | 1.2   | 1.2     | 1.2    | 1.2    | 1.2    | ND
tls1.3                | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | 1.3    | 1.3    | 1.3    | ND
anonymous             | 1.2    | CLEAR | 1.2   | 1.2   | HS      | HS     | HS     | HS     | ND
outsourced            | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | 1.3    | NV     | 1.3    | ND
domain-certificate    | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | NV     | 1.3    | 1.3    | ND
wildcard              | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | 1.3    | 1.3    | 1.3    | ND
address-only          | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | NV     | NV     | 1.3    | NT
mx-is-cname           | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | NV     | NV     | 1.3    | ND
dane                  | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | NV     | NV     | 1.3    | 1.3
dane-bad              | 1.3    | CLEAR | 1.3   | NV    | 1.3     | NV     | NV     | 1.3    | NV
clear-then-good       | CLEAR  | CLEAR | CLEAR | CLEAR | 1.3     | 1.3    | 1.3    | 1.3    | ND
good-then-clear       | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | 1.3    | 1.3    | 1.3    | ND
expired-then-clear    | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | NO     | NO     | 1.3    | ND
alert-then-good       | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | 1.3    | 1.3    | 1.3    | ND
close-then-good       | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | 1.3    | 1.3    | 1.3    | ND
close-then-clear      | CLEAR  | CLEAR | CLEAR | CLEAR | NO      | NO     | NO     | NO     | ND
drop-then-clear       | CLEAR  | CLEAR | CLEAR | CLEAR | NO      | NO     | NO     | NO     | ND
refused-454-then-good | CLEAR  | CLEAR | CLEAR | CLEAR | 1.3     | 1.3    | 1.3    | 1.3    | ND
refused-502-then-good | CLEAR  | CLEAR | CLEAR | CLEAR | R5*     | R5*    | R5*    | R5*    | ND
expired-then-good     | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | 1.3    | 1.3    | 1.3    | ND
greylist-then-clear   | CLEAR  | CLEAR | CLEAR | CLEAR | NO      | NO     | NO     | NO     | ND
dead-then-clear       | CLEAR  | CLEAR | CLEAR | CLEAR | NO      | NO     | NO     | NO     | ND
dead-then-good        | 1.3    | CLEAR | 1.3   | 1.3   | 1.3     | 1.3    | 1.3    | 1.3    | ND
""")
# Rows with match, min_protocol or ciphers: only for the partners where these may matter, and for those that break.
OUTCOMES |= read_table("""
partner               | hostname | both | provider | from 1.0 | from 1.3 | medium | v from 1.3
good                  | 1.3      | 1.3  | NV       | 1.3      | 1.3      | 1.3    | 1.3
clear                 | NO       | NO   | NO       | NO       | NO       | NO     | NO
refused-454           | R4       | R4   | R4       | R4       | R4       | R4     | R4
refused-502           | R5*      | R5*  | R5*      | R5*      | R5*      | R5*    | R5*
garbage               | HS       | HS   | HS       | HS       | HS       | HS     | HS
alert                 | HS       | HS   | HS       | HS       | HS       | HS     | HS
close                 | HS       | HS   | HS       | HS       | HS       | HS     | HS
hang                  | HS       | HS   | HS       | HS       | HS       | HS     | HS
drop                  | LC       | LC   | LC       | LC       | LC       | LC     | LC
expired               | NV       | NV   | NV       | 1.3      | 1.3      | 1.3    | NV
self-signed           | NV       | NV   | NV       | 1.3      | 1.3      | 1.3    | NV
wrong-name            | NV       | NV   | NV       | 1.3      | 1.3      | 1.3    | NV
unknown-ca            | NV       | NV   | NV       | 1.3      | 1.3      | 1.3    | NV
tls1.0                | HS       | HS   | HS       | 1        | HS       | HS     | HS
tls1.1                | HS       | HS   | HS       | 1.1      | HS       | HS     | HS
tls1.2                | 1.2      | 1.2  | NV       | 1.2      | HS       | 1.2    | HS
anonymous             | HS       | HS   | HS       | HS       | HS       | HS     | HS
outsourced            | 1.3      | 1.3  | 1.3      | 1.3      | 1.3      | 1.3    | 1.3
domain-certificate    | NV       | 1.3  | NV       | 1.3      | 1.3      | 1.3    | NV
wildcard              | 1.3      | 1.3  | NV       | 1.3      | 1.3      | 1.3    | 1.3
address-only          | NV       | NV   | 1.3      | 1.3      | 1.3      | 1.3    | NV
mx-is-cname           | NV       | NV   | 1.3      | 1.3      | 1.3      | 1.3    | NV
clear-then-good       | 1.3      | 1.3  | NV       | 1.3      | 1.3      | 1.3    | 1.3
good-then-clear       | 1.3      | 1.3  | NO       | 1.3      | 1.3      | 1.3    | 1.3
tls1.2-then-clear     | 1.2      | 1.2  | NO       | 1.2      | NO       | 1.2    | NO
""")
CELLS = pytest.mark.parametrize(("kind", "level"), OUTCOMES, ids=[f"{kind} at {level}" for kind, level in OUTCOMES])


@dataclass
class Sent:
    """The matrix after the first attempt and after a later one, in words."""

    cases: dict[tuple[str, str], Case]
    first: dict[tuple[str, str], str]
    later: dict[tuple[str, str], str]


def _row_of(case: Case, any_digest: str) -> str:
    """VALUES of the case's row."""
    certificate = case.partner.certificate
    columns = {"match": None, "min_protocol": "TLSv1.2", "ciphers": "high", **LEVELS[case.level]}
    if columns["match"]:
        columns["match"] = columns["match"].format(
            domain=case.partner.domain, digest=certificate.digest if certificate else any_digest)
    values = (case.partner.domain, *(columns[name] for name in ("outbound", "match", "min_protocol", "ciphers")))
    return "(" + ", ".join("NULL" if value is None else f"'{value}'" for value in values) + ")"


@pytest.fixture(scope="module", name="sent")
def _sent(shared_lab: Lab, shared_forcetls: Forcetls) -> Sent:
    """One message for every cell: rows typed into sqlite3 at once, mail sent; what is deferred is tried again."""
    shared_lab.reset("forcetls")
    shared_forcetls.reset()
    shared_lab.postfix.set(smtp_dns_support_level="dnssec")
    shared_lab.postfix.reload()
    cases = make_cases(shared_lab, OUTCOMES)
    any_digest = shared_lab.pki.good("any.example").digest
    with_row = [case for case in cases.values() if LEVELS[case.level]]
    rows = ",\n".join(_row_of(case, any_digest) for case in with_row)
    shared_forcetls.set_policy(
        f"INSERT INTO domain_policy(domain, outbound, match, min_protocol, ciphers) VALUES {rows}")
    shared_forcetls.wait_for_answer("tls", with_row[-1].partner.domain, "OK ")
    send_all(shared_lab, cases)
    first = {key: case.word() for key, case in cases.items()}
    return Sent(cases, first, _try_again(shared_lab, cases))


def _try_again(lab: Lab, cases: dict[tuple[str, str], Case]) -> dict[tuple[str, str], str]:
    """A second attempt, at an age at which Postfix' `may` no longer insists on the TLS that is offered but broken."""
    lab.postfix.set(minimal_backoff_time="1s")
    lab.postfix.reload()
    lab.postfix.flush()
    for case in cases.values():
        if case.outcome.status == "deferred":
            case.outcome = lab.outcome(case.submission, attempt=2, deadline_s=120)
    return {key: case.word() for key, case in cases.items()}


@CELLS
def test_each_partner_at_each_level_gets_the_message_as_the_row_says_or_not_at_all(sent: Sent, kind: str, level: str):
    assert sent.first[kind, level] == OUTCOMES[kind, level], str(sent.cases[kind, level].outcome)


@CELLS
def test_a_later_attempt_is_held_to_the_same_rule(shared_lab: Lab, sent: Sent, kind: str, level: str):
    word = OUTCOMES[kind, level]
    if word == "HS" and level in NOT_FORCED:
        word = "CLEAR"
    assert sent.later[kind, level] == word, str(sent.cases[kind, level].outcome)
    token = sent.cases[kind, level].submission.token
    if word == "CLEAR":
        assert level in NOT_FORCED
        assert shared_lab.went_in_clear(token)
    else:
        shared_lab.assert_never_in_clear(token)


def test_no_message_of_the_matrix_bounces(shared_lab: Lab, sent: Sent):
    for case in sent.cases.values():
        outcomes = shared_lab.postfix.log.outcomes(case.submission.queue_id)
        assert not [str(outcome) for outcome in outcomes if outcome.status not in ("sent", "deferred")]
        assert case.submission.queue_id not in shared_lab.postfix.log.notifications


def test_a_partner_whose_starttls_is_refused_with_5xx_leaves_the_message_at_4_5_1(sent: Sent):
    cases = [case for (kind, level), case in sent.cases.items() if sent.later[kind, level] == "R5*"]
    assert cases and {case.outcome.dsn for case in cases} == {"4.5.1"}


@pytest.mark.parametrize(("exclude", "word"), [(None, "1.2"), ("SHA1", "HS"), ("AES128:3DES", "HS"), ("RC4", "1.2")])
def test_a_partner_whose_only_cipher_the_row_excludes_gets_nothing(
        lab: Lab, forcetls: Forcetls, exclude: str | None, word: str):
    partner = lab.partners.add("tls1.2")
    partner.server.behaviour.tls.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    forcetls.add_row(partner.domain, "secure", exclude=exclude)
    case = Case(partner, "secure", lab.send(partner.address()))
    case.outcome = lab.outcome(case.submission)
    assert case.word() == word
    lab.assert_never_in_clear(case.submission.token)


def test_a_message_for_a_partner_that_hides_starttls_after_a_good_delivery_waits(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("good")
    forcetls.add_row(partner.domain, "secure")
    assert lab.outcome(lab.send(partner.address())).status == "sent"
    partner.server.behaviour = Behaviour(StartTls.ABSENT)
    stripped = lab.send(partner.address())
    assert lab.outcome(stripped).dsn == "4.7.4"
    lab.assert_never_in_clear(stripped.token)


# -- a real Postfix as partner ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="real")
def _real(shared_lab: Lab) -> PostfixPartner:
    return shared_lab.start_postfix_partner("real-in-matrix.example")


REAL_ROWS = {
    "may": ("may", None), "encrypt": ("encrypt", None), "verify": ("verify", None), "secure": ("secure", None),
    "by host name": ("secure", "hostname"), "by key": ("fingerprint", "{key}"),
    "another name": ("secure", "mx.elsewhere.example"), "another key": ("fingerprint", "{other}"),
}


@pytest.mark.parametrize("level", REAL_ROWS)
def test_a_real_postfix_gets_the_message_over_tls_where_its_certificate_meets_the_row(
        lab: Lab, forcetls: Forcetls, real: PostfixPartner, level: str):
    outbound, match = REAL_ROWS[level]
    if match:
        match = match.format(key=real.certificate.public_key_digest, other=lab.pki.good("other.example").digest)
    forcetls.set_policy(f"DELETE FROM domain_policy WHERE domain = '{real.domain}'")
    forcetls.add_row(real.domain, outbound, match=match)
    submission = lab.send(real.address())
    if level.startswith("another"):
        assert "Server certificate not verified" in lab.outcome(submission).text
        assert not [message for message in real.messages() if submission.token in message]
    else:
        assert lab.outcome(submission).status == "sent"
        assert b"using TLSv1.3" in real.wait_for_message(submission.token)
    lab.assert_never_in_clear(submission.token)


def test_a_real_postfix_that_loses_its_tls_gets_the_message_once_it_has_it_again(
        lab: Lab, forcetls: Forcetls, real: PostfixPartner):
    forcetls.set_policy(f"DELETE FROM domain_policy WHERE domain = '{real.domain}'")
    forcetls.add_row(real.domain, "secure")
    real.postfix.set(smtpd_tls_security_level="none")
    real.postfix.reload()
    submission = lab.send(real.address())
    assert lab.outcome(submission).dsn == "4.7.4"
    real.postfix.set(smtpd_tls_security_level="may")
    real.postfix.reload()
    lab.postfix.retry(submission.queue_id)
    assert lab.outcome(submission, attempt=2).status == "sent"
    assert b"using TLSv1.3" in real.wait_for_message(submission.token)
    assert sum(submission.token in message for message in real.messages()) == 1
    lab.assert_never_in_clear(submission.token)
