"""Whatever way a message comes to a forced domain, the delivery layer holds it: admission never saw some of these."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pytest

from lab.forcetls import Forcetls
from lab.host_files import ALICE
from lab.lab import Lab
from lab.message import compose
from lab.network import LAN_CLIENT, OUTSIDE_CLIENT, STRANGER
from lab.smtp_client import Submission


@dataclass(frozen=True)
class Way:
    """A way in: how the mail host is set up, who hands the message in, which queue file of it is the one to watch."""

    prepare: Callable[[Lab, str], dict[str, str]] = lambda lab, target: {}
    hand_in: Callable[[Lab, str], Submission] = lambda lab, target: lab.send("alice@ours.example")
    queue_file: int = 1


def _table(parameter: str, key: str) -> Callable[[Lab, str], dict[str, str]]:
    return lambda lab, target: {parameter: lab.postfix.table(parameter, {key: target})}


def _alias(lab: Lab, name: str, value: str) -> dict[str, str]:
    """A table of its own: one that was there already might be looked up as it was."""
    return {"alias_maps": lab.postfix.table(f"aliases-{name}", {"postmaster": "root", name: value})}


def _list(lab: Lab, target: str) -> dict[str, str]:
    members = Path(lab.directory, "members")
    members.write_text(f"alice@ours.example\n{target}\n", encoding="ascii")
    return _alias(lab, "team", f":include:{members}")


def _pipe(lab: Lab, target: str) -> dict[str, str]:
    command = f"/usr/sbin/sendmail -C {lab.postfix.etc} -i -f list@ours.example {target}"
    return _alias(lab, "robot", f'"|{command}"')


def _forward(lab: Lab, target: str) -> dict[str, str]:
    lab.set_forward(ALICE, target)
    return {}


def _by_tls(source: str | None) -> Callable[[Lab, str], Submission]:
    def hand_in(lab: Lab, target: str) -> Submission:
        with lab.client(source) as client:
            assert client.starttls().code == 250
            submission = client.send("alice@ours.example", [target])
            client.quit()
        return submission

    return hand_in


def _with_recipients_from_headers(lab: Lab, target: str) -> Submission:
    submission = Submission(compose(headers={"To": target, "Bcc": "alice@ours.example"}))
    command = ["sendmail", "-C", str(lab.postfix.etc), "-i", "-t", "-f", "alice@ours.example"]
    subprocess.run(command, input=submission.message.data, check=True)
    submission.queue_id = lab.postfix.log.wait_for_queue_id(submission.message.message_id)
    return submission


WAYS = {
    "SMTP in clear from this host": Way(hand_in=lambda lab, target: lab.send(target)),
    "SMTP over TLS from this host": Way(hand_in=_by_tls(None)),
    "SMTP over TLS from the LAN": Way(hand_in=_by_tls(LAN_CLIENT)),
    "SMTP over TLS from outside": Way(hand_in=_by_tls(OUTSIDE_CLIENT)),
    "sendmail(1) by a user": Way(hand_in=lambda lab, target: lab.sendmail(target)),
    "sendmail(1) by root": Way(hand_in=lambda lab, target: lab.sendmail(target, user="root")),
    "sendmail(1) with recipients from the headers": Way(hand_in=_with_recipients_from_headers),
    "alias": Way(lambda lab, target: _alias(lab, "boss", target), lambda lab, target: lab.send("boss@ours.example"), 2),
    "alias of a list": Way(_list, lambda lab, target: lab.send("team@ours.example"), 2),
    "alias to a program": Way(_pipe, lambda lab, target: lab.send("robot@ours.example"), 2),
    ".forward": Way(_forward, queue_file=2),
    ".forward, handed in by sendmail(1)": Way(_forward, lambda lab, target: lab.sendmail("alice@ours.example"), 2),
    "virtual alias": Way(_table("virtual_alias_maps", "boss@virtual.example"),
                         lambda lab, target: lab.send("boss@virtual.example")),
    "virtual alias of a domain": Way(_table("virtual_alias_maps", "@virtual.example"),
                                     lambda lab, target: lab.send("anyone@virtual.example")),
    "recipient_canonical": Way(_table("recipient_canonical_maps", "alice@ours.example")),
    "canonical": Way(_table("canonical_maps", "bob@ours.example"), lambda lab, target: lab.send("bob@ours.example")),
    "always_bcc": Way(lambda lab, target: {"always_bcc": target}),
    "always_bcc of sendmail(1) mail": Way(lambda lab, target: {"always_bcc": target},
                                          lambda lab, target: lab.sendmail("alice@ours.example")),
    "recipient_bcc": Way(_table("recipient_bcc_maps", "alice@ours.example")),
    "sender_bcc": Way(_table("sender_bcc_maps", "alice@ours.example")),
    "REDIRECT": Way(lambda lab, target: {
        "smtpd_sender_restrictions": "check_sender_access " + lab.postfix.table(
            "access", {"alice@ours.example": f"REDIRECT {target}"})}),
    "luser_relay": Way(lambda lab, target: {"luser_relay": target, "local_recipient_maps": ""},
                       lambda lab, target: lab.send("nobody-here@ours.example"), 2),
}


@pytest.fixture(name="clean_homes")
def _clean_homes(lab: Lab):
    lab.forget_local_mail()
    yield
    lab.forget_local_mail()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("clean_homes")
def test_a_message_waits_for_tls_by_whatever_way_it_came(lab: Lab, forcetls: Forcetls, way: str):
    partner = lab.partners.add("clear")
    forcetls.add_row(partner.domain, "secure")
    parameters = WAYS[way].prepare(lab, partner.address())
    if parameters:
        lab.postfix.set(**parameters)
        lab.postfix.reload()

    submission = WAYS[way].hand_in(lab, partner.address())
    queue_id = lab.postfix.log.wait_for_queue_id(submission.message.message_id, number=WAYS[way].queue_file)
    outcome = lab.postfix.log.wait_for_outcome(queue_id, partner.address())
    assert (outcome.status, outcome.dsn) == ("deferred", "4.7.4"), str(outcome)
    lab.assert_never_in_clear(submission.token)

    lab.partners.change(partner, "good")
    lab.postfix.retry(queue_id)
    assert lab.postfix.log.wait_for_outcome(queue_id, partner.address(), attempt=2).status == "sent"
    assert [message.tls_version for message in partner.received(submission.token)] == ["TLSv1.3"]
    lab.assert_never_in_clear(submission.token)


def test_mail_in_clear_from_the_lan_waits_for_tls(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("clear")
    forcetls.add_row(partner.domain, "secure")
    with lab.client(LAN_CLIENT) as client:
        submission = client.send("alice@ours.example", [partner.address()])
    assert lab.outcome(submission).dsn == "4.7.4"
    assert not lab.partners.saw_in_clear(submission.token)  # On the wire it was: the client sent it in clear.


@pytest.mark.usefixtures("clean_homes")
def test_what_a_stranger_sends_to_an_alias_waits_for_tls(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("clear")
    forcetls.add_row(partner.domain, "secure")
    lab.postfix.set(**_alias(lab, "boss", partner.address()))
    lab.postfix.reload()
    with lab.client(STRANGER) as client:
        assert client.starttls().code == 250
        submission = client.send("someone@customer.example", ["boss@ours.example"])
    queue_id = lab.postfix.log.wait_for_queue_id(submission.message.message_id, number=2)
    assert lab.postfix.log.wait_for_outcome(queue_id, partner.address()).dsn == "4.7.4"
    lab.assert_never_in_clear(submission.token)


@pytest.mark.usefixtures("clean_homes")
def test_an_alias_to_a_forced_domain_does_not_hold_up_the_others(lab: Lab, forcetls: Forcetls):
    forced, free = lab.partners.add("clear"), lab.partners.add("clear")
    forcetls.add_row(forced.domain, "secure")
    lab.postfix.set(**_alias(lab, "all", f"alice@ours.example, {forced.address()}, {free.address()}"))
    lab.postfix.reload()
    submission = lab.send("all@ours.example")
    queue_id = lab.postfix.log.wait_for_queue_id(submission.message.message_id, number=2)
    assert lab.postfix.log.wait_for_outcome(queue_id, forced.address()).dsn == "4.7.4"
    assert lab.postfix.log.wait_for_outcome(queue_id, free.address()).status == "sent"
    assert free.received(submission.token)
    assert lab.outcome(submission, "all@ours.example").status == "sent"
    assert any(submission.token in message for message in lab.local_mail(ALICE))  # Of others some may come late.
    assert not forced.saw_in_clear(submission.token)
