"""The milter: routes past the policy, TLS-Required: no, local submission, and one log line for each message."""

import re

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.lab import SENDER, Lab
from lab.message import compose
from lab.network import OUTSIDE_CLIENT
from lab.partner import Behaviour, PartnerServer
from lab.waiting import wait_for
from rows import add_row, settle

OURS = "alice@ours.example"
CUSTOMER = "x@customer.example"
CLONE = "clone unix - - y - - smtp -o smtp_tls_policy_maps="
OBEYS = "Postfix 3.10.1"
DEADLINE_S = 20


def _milter_lines(forcetls: Forcetls, start: str) -> list[str]:
    return [line for line in forcetls.milter.output().splitlines() if f": {start}: " in line]


def _assert_maildrop_empties(lab: Lab) -> None:
    """pickup(8) removes a file just after its message is in the queue."""
    maildrop = lab.postfix.queue_directory / "maildrop"
    wait_for(lambda: not list(maildrop.iterdir()), DEADLINE_S, "maildrop to be empty", lab.postfix.log.tail)


# -- routes past the policy --------------------------------------------------------------------------------------------

def test_a_route_by_a_transport_that_does_not_ask_is_refused_naming_the_setting(lab: Lab, forcetls: Forcetls):
    forced = add_row(lab, forcetls, kind="clear", outbound="secure", on_failure="reject")
    free = lab.partners.add("clear")
    lab.postfix.set_service(CLONE)
    lab.postfix.set(transport_maps=lab.postfix.table("transport", {forced.domain: "clone:", free.domain: "clone:"}))
    lab.postfix.reload()
    submission = lab.send(forced.address(), free.address(), OURS)
    assert submission.replies[forced.address()].text == (
        f"451 4.7.1 TLS is required for {forced.domain}, but transport clone does not ask forcetls "
        "(see setting enforcing_transports)")
    assert submission.replies[OURS].code == 250
    assert lab.outcome(submission, free.address()).status == "sent"
    assert not forced.messages
    lab.postfix.log.wait_for_line(rf"milter-reject: RCPT .*to=<{forced.address()}>")


def test_a_transport_named_in_enforcing_transports_is_taken_at_its_word(lab: Lab, forcetls: Forcetls):
    forced = add_row(lab, forcetls, outbound="secure")
    forcetls.set_policy("UPDATE setting SET value = 'smtp relay strict' WHERE name = 'enforcing_transports'")
    settle(forcetls)
    lab.postfix.set_service("strict unix - - y - - smtp")
    lab.postfix.set(transport_maps=lab.postfix.table("transport", {forced.domain: "strict:"}))
    lab.postfix.reload()
    submission = lab.send(forced.address())
    assert lab.outcome(submission).status == "sent"
    assert forced.received(submission.token)[0].tls_version == "TLSv1.3"


# (level of the domain, level of the relay's own row, taken)
RELAYS = [("encrypt", None, False), ("secure", "may", False), ("encrypt", "may", False), ("encrypt", "encrypt", True),
          ("encrypt", "verify", True), ("secure", "encrypt", False), ("secure", "verify", False),
          ("verify", "secure", True), ("secure", "secure", True), ("may", None, True)]


def _relay(lab: Lab, forcetls: Forcetls, partner: Partner, row: str | None) -> PartnerServer:
    name = f"relay.{partner.domain}"
    if row:
        forcetls.set_policy(f"INSERT INTO domain_policy(domain, outbound) VALUES ('[{name}]', '{row}')")
    return lab.partners.serve(name, lab.partners.behaviour("good", name)[0])


def test_a_relay_is_taken_only_if_its_own_row_is_as_strong(lab: Lab, forcetls: Forcetls):
    partners = [add_row(lab, forcetls, outbound=level) for level, _, _ in RELAYS]
    relays = [_relay(lab, forcetls, partner, row) for partner, (_, row, _) in zip(partners, RELAYS, strict=True)]
    settle(forcetls)
    lab.postfix.set(transport_maps=lab.postfix.table(
        "transport", {partner.domain: f"smtp:[relay.{partner.domain}]" for partner in partners}))
    lab.postfix.reload()
    submission = lab.send(*(partner.address() for partner in partners))
    for partner, relay, (level, row, taken) in zip(partners, relays, RELAYS, strict=True):
        reply = submission.replies[partner.address()]
        assert reply.code == (250 if taken else 451), f"{level} by a relay at {row}: {reply}"
        if taken:
            assert lab.outcome(submission, partner.address()).status == "sent"
            assert relay.messages[0].tls_version == "TLSv1.3"
        else:
            assert f"but it goes by way of [relay.{partner.domain}], whose own requirement is weaker" in reply.text
            assert not relay.sessions
    lab.assert_never_in_clear(submission.token)


@pytest.mark.parametrize(("row", "code"), [(None, 451), ("secure", 250)])
def test_relayhost_is_such_a_relay(lab: Lab, forcetls: Forcetls, row: str | None, code: int):
    partner = add_row(lab, forcetls, outbound="secure")
    relay = _relay(lab, forcetls, partner, row)
    settle(forcetls)
    lab.postfix.set(relayhost=f"[relay.{partner.domain}]")
    lab.postfix.reload()
    submission = lab.send(partner.address())
    assert submission.replies[partner.address()].code == code
    assert code == 451 or lab.outcome(submission).status == "sent"
    assert len(relay.messages) == (code == 250)
    lab.assert_never_in_clear(submission.token)


def test_what_never_leaves_this_host_is_not_refused(lab: Lab, forcetls: Forcetls):
    transports = ("local:", "lmtp:unix:private/lab-lmtp-m", "discard:")
    partners = [add_row(lab, forcetls, outbound="secure") for _ in transports]
    lab.postfix.set(transport_maps=lab.postfix.table(
        "transport", {partner.domain: transport for partner, transport in zip(partners, transports, strict=True)}))
    lab.postfix.reload()
    submission = lab.send(*(partner.address() for partner in partners))
    assert {reply.code for reply in submission.replies.values()} == {250}


def test_a_route_without_a_forced_recipient_is_nobodys_business(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("clear")
    relay = lab.partners.serve(f"relay.{partner.domain}", Behaviour())
    lab.postfix.set(relayhost=f"[relay.{partner.domain}]")
    lab.postfix.reload()
    submission = lab.send(partner.address(), OURS)
    assert lab.outcome(submission, partner.address()).status == "sent"
    assert len(relay.messages) == 1
    del forcetls


# -- TLS-Required: no --------------------------------------------------------------------------------------------------

def _with_header(value: str = "no", name: str = "TLS-Required"):
    return compose(headers={name: value})


@pytest.mark.parametrize(("setting", "version", "code"), [
    ("auto", OBEYS, 550), ("auto", "Postfix 4.0", 550), ("auto", "Postfix 3.9.1", 250),
    ("reject", None, 550), ("tempfail", None, 451), ("ignore", OBEYS, 250)])
def test_tls_required_no_is_refused_where_the_mta_would_obey_it(
        lab: Lab, forcetls: Forcetls, setting: str, version: str | None, code: int):
    """What this Postfix itself obeys, and whether the milter knows: test_tls_required.py."""
    partner = add_row(lab, forcetls, outbound="secure")
    if version:
        lab.postfix.set(milter_macro_v=version)
        lab.postfix.reload()
    forcetls.set_policy(f"UPDATE setting SET value = '{setting}' WHERE name = 'tls_required_header'")
    settle(forcetls)
    submission = lab.send(partner.address(), message=_with_header())
    assert submission.end_of_data.code == code
    if code == 250:
        assert lab.outcome(submission).status == "sent"
        lab.assert_never_in_clear(submission.token)
        return
    assert submission.end_of_data.text.endswith(
        f" TLS is required for {partner.domain}; remove the header TLS-Required: no")
    lab.postfix.log.wait_for_line(rf"milter-reject: END-OF-MESSAGE .*to=<{partner.address()}>")
    assert not partner.messages
    assert lab.send(partner.address()).queue_id, "without the header it is taken"


def test_the_header_counts_as_the_mta_reads_it(lab: Lab, forcetls: Forcetls):
    partner = add_row(lab, forcetls, outbound="encrypt")
    lab.postfix.set(milter_macro_v=OBEYS)
    lab.postfix.reload()
    expected = {("TLS-Required", "no"): 550, ("tls-REQUIRED", " No "): 550, ("TLS-Required", "yes"): 250,
                ("X-TLS-Required", "no"): 250, ("TLS-Required", "no, thanks"): 250}
    codes = {(name, value): lab.send(partner.address(), message=_with_header(value, name)).end_of_data.code
             for name, value in expected}
    assert codes == expected


def test_the_header_without_a_forced_recipient_is_left_alone(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("good")
    del forcetls
    lab.postfix.set(milter_macro_v=OBEYS)
    lab.postfix.reload()
    assert lab.outcome(lab.send(partner.address(), message=_with_header())).status == "sent"


def test_sendmail_with_the_header_is_bounced_to_the_sender_where_the_mta_would_obey_it(lab: Lab, forcetls: Forcetls):
    partner = add_row(lab, forcetls, outbound="secure")
    lab.postfix.set(milter_macro_v=OBEYS)
    lab.postfix.reload()
    submission = lab.sendmail(partner.address(), message=_with_header())
    assert lab.outcome(submission).status == "bounced"
    assert not partner.messages
    _assert_maildrop_empties(lab)


# -- local submission --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("make", ["forced without TLS", "sender must use TLS", "route past us", "header, tempfail"])
def test_sendmail_is_never_made_to_wait_in_maildrop(lab: Lab, forcetls: Forcetls, make: str):
    partner = add_row(lab, forcetls, kind="clear", outbound="secure", inbound="encrypt")
    sender, message = SENDER, None
    if make.startswith("sender"):
        sender = partner.address()
    elif make.startswith("route"):
        lab.postfix.set(relayhost="[127.0.0.1]:9")
        lab.postfix.reload()
    elif make.startswith("header"):
        forcetls.set_policy("UPDATE setting SET value = 'tempfail' WHERE name = 'tls_required_header'")
        settle(forcetls)
        message = _with_header()
    submission = lab.sendmail(partner.address(), sender=sender, message=message, user="root")
    refused = message is not None and lab.postfix.obeys_tls_required_no
    assert lab.outcome(submission).status == ("bounced" if refused else "deferred"), "it is seen, or its sender hears"
    _assert_maildrop_empties(lab)
    assert not partner.messages
    lab.assert_never_in_clear(submission.token)
    assert f"{submission.queue_id}: message: " in forcetls.milter.output()
    assert "client=local" in _milter_lines(forcetls, submission.queue_id)[0]


def test_a_client_over_smtp_cannot_pass_for_local_submission(lab: Lab, forcetls: Forcetls):
    """By leaving out what sendmail(1) leaves out."""
    partner = add_row(lab, forcetls, outbound="secure")
    forcetls.set_policy("UPDATE setting SET value = '192.0.2.1' WHERE name = 'trusted_clients'")
    settle(forcetls)
    lab.postfix.set(smtpd_recipient_restrictions="")  # the milter alone
    lab.postfix.reload()
    for source in (OUTSIDE_CLIENT, None):
        for path in (SENDER, f" {SENDER}", f"<{SENDER}>", "<>", f" <{SENDER}> "):
            with lab.client(source) as client:
                assert client.command(f"MAIL FROM:{path}").code == 250
                for _ in range(2):  # The queue id is there from the second recipient on.
                    reply = client.command(f"RCPT TO:<{partner.address()}>")
                    assert reply.code == 451 and "must be handed over with TLS" in reply.text
                    assert client.command(f"RCPT TO:<{OURS}>").code == 250


# -- the log -----------------------------------------------------------------------------------------------------------

def test_each_message_is_one_line_that_joins_on_the_queue_id(lab: Lab, forcetls: Forcetls):
    forced, free = add_row(lab, forcetls, outbound="secure"), lab.partners.add("clear")
    lab.postfix.set(smtpd_recipient_restrictions="")  # else the policy service refuses first
    lab.postfix.reload()
    with lab.client(OUTSIDE_CLIENT) as client:
        submissions = [client.send(CUSTOMER, [free.address(), forced.address(), OURS]) for _ in range(3)]
        client.starttls()
        submissions.append(client.send(CUSTOMER, [forced.address()]))
        client.quit()
    for submission in submissions:
        lab.outcome(submission)
        messages = [line for line in _milter_lines(forcetls, submission.queue_id) if ": message: " in line]
        assert len(messages) == 1
        fields = dict(re.findall(r"(\w+)=(\S+)", messages[0]))
        assert fields["from"] == "customer.example" and fields["client"] == OUTSIDE_CLIENT
        assert fields["verdict"] == "continue"
        expected = ("1", "1", "0", "TLSv1.3") if submission is submissions[3] else ("3", "1", "1", "none")
        assert tuple(fields[name] for name in ("recipients", "forced", "deferred", "tls")) == expected


def test_a_test_row_only_logs_what_it_would_do(lab: Lab, forcetls: Forcetls):
    partner = add_row(lab, forcetls, kind="clear", outbound="secure", mode="test", inbound="encrypt")
    with lab.client(OUTSIDE_CLIENT) as client:
        outward, inward = client.send(CUSTOMER, [partner.address()]), client.send(partner.address(), [OURS])
    assert lab.outcome(outward).status == "sent" and lab.outcome(inward).status == "sent"
    [line] = [text for text in _milter_lines(forcetls, outward.queue_id) if ": message: " in text]
    assert f"would=defer:clear-submission test_rule={partner.domain}" in line and "verdict=continue" in line
    [line] = [text for text in _milter_lines(forcetls, inward.queue_id) if ": message: " in text]
    assert f"would=defer:inbound-clear test_rule={partner.domain}" in line


def test_a_client_cannot_write_log_lines_or_fields_of_its_own(lab: Lab, forcetls: Forcetls):
    partner = add_row(lab, forcetls, outbound="secure")
    lines = len(forcetls.milter.output().splitlines())
    with lab.client(OUTSIDE_CLIENT) as client:
        client.command('MAIL FROM:<"a verdict=reject"@x.example>')
        client.command(f'RCPT TO:<"x=y reply=\\"250 ok\\""@{partner.domain}>')
        client.command("RSET")
        client.command("MAIL FROM:<x@verdict=accept.example>")
    new = forcetls.milter.output().splitlines()[lines:]
    assert all(line.startswith("forcetls-milter[") for line in new)
    assert not any("verdict=reject" in line or "verdict=accept" in line or "250 ok" in line for line in new)


def test_mail_without_any_rule_passes_with_one_line_and_no_word_in_postfix_s_log(lab: Lab, forcetls: Forcetls):
    since = lab.postfix.log.mark()
    submission = lab.send(OURS)
    assert lab.outcome(submission).status == "sent"
    assert len(_milter_lines(forcetls, submission.queue_id)) == 1
    assert not lab.postfix.log.matching("warning|milter-reject", since)
