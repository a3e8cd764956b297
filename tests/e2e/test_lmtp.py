"""LMTP next hops on other hosts that have a row of their own: the same promises as for SMTP."""

import dataclasses
import threading

from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.partner import PartnerServer
from lab.waiting import wait_for
from rows import settle

BACKLOG = 120
FLOWING = 5
DEADLINE_S = 60
REPLY_DELAY_S = 0.05


def _serve(lab: Lab, domain: str, kind: str, **changes: object) -> tuple[PartnerServer, str]:
    """An LMTP server on another host to which mail for the domain goes, and its key."""
    hostname = f"lmtp.{domain}"
    behaviour, _ = lab.partners.behaviour(kind, hostname)
    server = lab.partners.serve(hostname, dataclasses.replace(behaviour, lmtp=True, **changes), port=24)
    lab.postfix.set(transport_maps=lab.postfix.table("transport", {domain: f"lmtp:inet:{hostname}:24"}))
    lab.postfix.reload()
    return server, f"{hostname}:24"


def test_a_row_for_an_lmtp_next_hop_counts_while_a_backlog_flows_in_clear(lab: Lab, forcetls: Forcetls):
    gate = threading.Event()
    server, key = _serve(lab, "flowing-lmtp.example", "clear", gates={"BANNER": gate}, delays_s={"EOD": REPLY_DELAY_S})
    submissions = [lab.send("u@flowing-lmtp.example") for _ in range(BACKLOG)]
    gate.set()
    wait_for(lambda: len(server.messages) >= FLOWING, DEADLINE_S, "the backlog to flow", lab.postfix.log.tail)
    forcetls.set_policy(f"INSERT INTO domain_policy(domain) VALUES ('{key}')")
    forcetls.wait_for_answer("lmtp", key, "OK encrypt")
    at_effect = len(server.messages)
    wait_for(lambda: all(lab.postfix.log.outcomes(submission.queue_id) for submission in submissions), DEADLINE_S,
             "each message to have an outcome", lab.postfix.log.tail)

    at_once = int(lab.postfix.get("lmtp_destination_concurrency_limit"))
    assert len(server.messages) - at_effect <= at_once
    later = lab.send("u@flowing-lmtp.example")
    assert lab.outcome(later).status == "deferred"


def test_an_lmtp_next_hop_that_refuses_starttls_with_5xx_gets_the_message_when_it_is_mended(
        lab: Lab, forcetls: Forcetls):
    server, key = _serve(lab, "refusing-lmtp.example", "refused-502")
    forcetls.set_policy(f"INSERT INTO domain_policy(domain) VALUES ('{key}')")
    forcetls.wait_for_answer("lmtp", key, "OK encrypt")
    outcome = lab.outcome(lab.send("u@refusing-lmtp.example"))
    assert (outcome.status, outcome.dsn) == ("deferred", "4.5.1"), str(outcome)
    assert not server.messages


def test_an_lmtp_next_hop_with_a_good_certificate_meets_a_row_at_secure(lab: Lab, forcetls: Forcetls):
    server, key = _serve(lab, "secure-lmtp.example", "good")
    forcetls.set_policy(f"INSERT INTO domain_policy(domain, outbound) VALUES ('{key}', 'secure')")
    forcetls.wait_for_answer("lmtp", key, "OK secure")
    outcome = lab.outcome(lab.send("u@secure-lmtp.example"))
    assert outcome.status == "sent", str(outcome)
    assert server.messages[0].tls_version == "TLSv1.3"


def test_a_forced_recipient_on_the_way_to_an_lmtp_host_without_a_row_is_deferred_at_rcpt(lab: Lab, forcetls: Forcetls):
    server, key = _serve(lab, "leaking-lmtp.example", "clear")
    forcetls.add_row("leaking-lmtp.example", "secure")
    settle(forcetls)
    reply = lab.send("u@leaking-lmtp.example").replies["u@leaking-lmtp.example"]
    assert reply.code == 451 and key in reply.text, str(reply)
    assert not server.messages


def test_the_sites_own_mailboxes_may_be_on_an_lmtp_host_without_a_row(lab: Lab, forcetls: Forcetls):
    server, _ = _serve(lab, "mailboxes.example", "clear")
    forcetls.set_policy("UPDATE setting SET value = 'mailboxes.example' WHERE name = 'own_domains'")
    settle(forcetls)
    forcetls.add_row("mailboxes.example", "encrypt")
    settle(forcetls)
    assert lab.outcome(lab.send("u@mailboxes.example")).status == "sent"
    assert server.messages
