"""With an empty policy no message's fate changes: the same list of messages on stock Postfix and with forcetls' lines.

Compared are, for each recipient, the SMTP reply, status, dsn and relay of the first attempt, and whether it went in
clear or with which TLS; of bounces too. The whole snippet is in force in the forcetls states. Three of its lines do
something without any row: no connection and session cache (changes no fate), bounces with headers only (their fate is
compared, not their text), and the delivery status filter, of which the last test tells.
"""

import socket
from dataclasses import dataclass, field
from typing import Callable

import pytest

from fates import Fate, fates_of, settle
from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.network import LAN_CLIENT
from lab.partner import PartnerServer
from lab.smtp_client import Submission

OURS = "alice@ours.example"
KINDS = ("good", "clear", "refused-454", "refused-502", "garbage", "alert", "close", "drop", "expired", "unknown-ca",
         "wrong-name", "tls1.0", "tls1.2", "anonymous", "outsourced", "clear-then-good", "close-then-clear",
         "dead-then-good", "greylist", "mx-is-cname")
STATES = ("stock", "empty policy", "rows for others")


@dataclass
class World:
    """The servers around the mail host, the same in every state."""

    lab: Lab
    partners: dict[str, Partner] = field(default_factory=dict)
    servers: dict[str, PartnerServer] = field(default_factory=dict)

    def address(self, kind: str) -> str:
        """An address at the partner of that kind."""
        return self.partners[kind].address()


@pytest.fixture(scope="module", name="world")
def _world(shared_lab: Lab) -> World:
    lab, world = shared_lab, World(shared_lab)
    world.partners = {kind: lab.partners.add(kind) for kind in KINDS}
    world.partners["no such user"] = lab.partners.add("good", replies={"RCPT": "550 5.1.1 no such user"})
    world.partners["held by the site"] = lab.partners.add("clear")
    world.partners["sub-domain held by the site"] = lab.partners.add("clear", "www.held-site.example")
    for label in ("😀", "bänk-leer"):
        a_label = "xn--" + label.encode("punycode").decode("ascii")
        world.partners[label] = lab.partners.add("clear", f"{a_label}.example")
    clear, lmtp, tls = (lab.partners.behaviour(kind, "tls.lan.example")[0]
                        for kind in ("clear", "lmtp", "self-signed"))
    world.servers = {
        "relay": lab.partners.serve("relay.lan.example", clear),
        "relay by TLS": lab.partners.serve("tls.lan.example", tls),
        "LAN filter": lab.partners.serve("filter.lan.example", clear, port=10025),
        "local filter": PartnerServer("filter", socket.create_server(("127.0.0.1", 10025)), clear),
        "inet lmtp": lab.partners.serve("lmtp.lan.example", lmtp, port=24),
        "unix lmtp": lab.partners.serve_unix(lab.postfix.queue_directory / "private" / "empty-lmtp", "unix", lmtp)}
    yield world
    world.servers["local filter"].close()


def _set_up(lab: Lab, world: World, state: str) -> None:
    """The site's own configuration, on top of the state's."""
    postfix, partners = lab.postfix, world.partners
    site = postfix.table("site_tls_policy", {
        partners["held by the site"].domain: "secure", ".held-site.example": "encrypt", "[tls.lan.example]": "encrypt"})
    maps = [site] if state == "stock" else ["socketmap:unix:forcetls/map.sock:tls", site,
                                            "socketmap:unix:forcetls/map.sock:default"]
    postfix.set(
        smtp_tls_policy_maps=", ".join(maps),
        transport_maps=postfix.table("transport", {
            "lan.customer.example": "smtp:[relay.lan.example]",
            "lan25.customer.example": "relay:[relay.lan.example]:25",
            "bare.customer.example": "smtp:relay.lan.example", "tls.customer.example": "smtp:[tls.lan.example]",
            "inet-lmtp.example": "lmtp:inet:lmtp.lan.example:24", "unix-lmtp.example": "lmtp:unix:private/empty-lmtp",
            "dropped.example": "discard:", "closed.example": "error:5.1.2 gone"}),
        sender_dependent_relayhost_maps=postfix.table("relay_by_sender", {"lan@ours.example": "[relay.lan.example]"}),
        virtual_alias_maps=postfix.table("virtual", {"boss@ours.example": f"{OURS}, {partners['good'].address()}"}))
    reinjection = "-o content_filter= -o smtpd_milters= -o receive_override_options=no_milters"
    postfix.set_service("10023 inet n - y - - smtpd -o content_filter=smtp:[filter.lan.example]:10025")
    postfix.set_service("10024 inet n - y - - smtpd -o content_filter=smtp:[127.0.0.1]:10025")
    postfix.set_service(f"127.0.0.1:10026 inet n - y - - smtpd {reinjection}")
    postfix.reload()


Sent = list[tuple[Submission, list[str]]]


def _to(*kinds: str, sender: str = OURS) -> Callable[[Lab, World], Sent]:
    """Handed in by SMTP, for partners by kind, or for addresses."""

    def hand_in(lab: Lab, world: World) -> Sent:
        recipients = [kind if "@" in kind else world.address(kind) for kind in kinds]
        return [(lab.send(*recipients, sender=world.address(sender) if "@" not in sender and sender else sender),
                 recipients)]

    return hand_in


def _to_virtual_alias(lab: Lab, world: World) -> Sent:
    return [(lab.send("boss@ours.example"), [OURS, world.address("good")])]


def _by_sendmail(*kinds: str) -> Callable[[Lab, World], Sent]:
    def hand_in(lab: Lab, world: World) -> Sent:
        recipients = [kind if "@" in kind else world.address(kind) for kind in kinds]
        return [(lab.sendmail(*recipients), recipients)]

    return hand_in


def _by_client(source: str | None, tls: bool, kind: str) -> Callable[[Lab, World], Sent]:
    def hand_in(lab: Lab, world: World) -> Sent:
        with lab.client(source) as client:
            assert not tls or client.starttls().code == 250
            return [(client.send(OURS, [world.address(kind)]), [world.address(kind)])]

    return hand_in


def _through_filter(name: str, port: int) -> Callable[[Lab, World], Sent]:
    """To the content filter, and back by the port for filtered mail (the test is the filter's second half)."""

    def hand_in(lab: Lab, world: World) -> Sent:
        recipients = [world.address(kind) for kind in ("good", "clear", "close")] + [OURS]
        with lab.client(port=port) as client:
            there = client.send(OURS, recipients)
        for recipient in recipients:
            assert lab.outcome(there, recipient).status == "sent"
        assert any(there.token in message.data for message in world.servers[name].messages)
        with lab.client(port=10026) as client:
            back = client.send(OURS, recipients, there.message)
        return [(there, recipients), (back, recipients)]

    return hand_in


MESSAGES: dict[str, Callable[[Lab, World], Sent]] = {
    **{f"partner: {kind}": _to(kind) for kind in KINDS},
    "unknown domain": _to("u@no-such-domain.example"),
    "local mailbox": _to(OURS), "unknown local user": _to("nobody-here@ours.example"),
    "virtual alias": _to_virtual_alias,
    "error transport": _to("u@closed.example"), "discard transport": _to("u@dropped.example"),
    "LAN relay": _to("u@lan.customer.example"),
    "LAN relay with port": _to("u@lan25.customer.example"),
    "LAN relay, bare name": _to("u@bare.customer.example"),
    "LAN relay by the site's rule": _to("u@tls.customer.example"),
    "relayhost of the sender": _to("good", "clear", "u@no-such-domain.example", sender="lan@ours.example"),
    "LMTP on TCP": _to("u@inet-lmtp.example"), "LMTP on a unix socket": _to("u@unix-lmtp.example"),
    "held by the site's own table": _to("held by the site"), "held by its parent": _to("sub-domain held by the site"),
    "filter on this host": _through_filter("local filter", 10024),
    "filter on another host": _through_filter("LAN filter", 10023),
    "sendmail(1)": _by_sendmail("good", "clear", "close", OURS),
    "SMTP over TLS": _by_client(None, True, "clear"), "LAN client": _by_client(LAN_CLIENT, False, "good"),
    "LAN client over TLS": _by_client(LAN_CLIENT, True, "clear"),
    "emoji domain": _to("u@😀.example"), "emoji sub-domain": _to("u@no.😀.example"),
    "IDN domain": _to("u@bänk-leer.example"),
    "A-label": _to("bänk-leer"), "odd spelling": _to("u@Ｂänk-leer。example"), "trailing dot": _to("u@ours.example."),
    "address literal": lambda lab, world: _to(f"u@[{world.partners['clear'].server.address}]")(lab, world),
    "null sender": _to("good", "clear", OURS, sender=""), "a bounce in clear": _to("no such user", sender="clear"),
    "a bounce over TLS": _to("no such user", sender="good"),
    "several recipients": _to("good", "clear", "refused-502", "garbage", "no such user", OURS, "u@inet-lmtp.example",
                              "u@lan.customer.example", "u@no-such-domain.example", "held by the site"),
}
# A name that libidn2 cannot convert waits as soon as there is any row (design, section 4).
UNCONVERTIBLE = ("emoji domain", "emoji sub-domain")


def _fates(lab: Lab, world: World, sent: Sent) -> list[Fate]:
    servers = [*lab.partners.servers, *world.servers.values()]
    for submission, recipients in sent:  # The same message may come back from a filter: first it must be all over.
        settle(lab.postfix.log, submission, recipients)
    return [fate for submission, recipients in sent
            for fate in fates_of(lab.postfix.log, servers, submission, recipients)]


@pytest.fixture(scope="module", name="fates")
def _all_fates(shared_lab: Lab, shared_forcetls: Forcetls, world: World) -> dict[str, dict[str, list[Fate]]]:
    """state -> message -> fates. The rows of earlier tests are deleted."""
    fates: dict[str, dict[str, list[Fate]]] = {}
    shared_forcetls.reset()
    shared_forcetls.set_policy("DELETE FROM domain_policy")
    for state in STATES:
        shared_lab.reset("stock" if state == "stock" else "forcetls")
        _set_up(shared_lab, world, state)
        if state == "rows for others":
            shared_forcetls.add_row("others.example", "secure")
            shared_forcetls.add_row("[relay.others.example]", "encrypt")
        sent = {what: hand_in(shared_lab, world) for what, hand_in in MESSAGES.items()}
        fates[state] = {what: _fates(shared_lab, world, pairs) for what, pairs in sent.items()}
    return fates


@pytest.mark.parametrize("what", MESSAGES)
def test_with_an_empty_policy_a_message_has_the_fate_it_has_without_forcetls(fates, what: str):
    assert fates["empty policy"][what] == fates["stock"][what]


@pytest.mark.parametrize("what", [what for what in MESSAGES if what not in UNCONVERTIBLE])
def test_rows_for_others_change_no_message(fates, what: str):
    assert fates["rows for others"][what] == fates["stock"][what]


def test_the_list_has_messages_of_every_fate(fates):
    """Else the comparison would say little."""
    seen = [fate for several in fates["stock"].values() for fate in several]
    assert {fate.status for fate in seen} == {"", "sent", "deferred", "bounced"}
    assert {went for fate in seen for went in fate.went.split(",")} == {"", "CLEAR", "TLSv1", "TLSv1.2", "TLSv1.3"}
    assert {fate.relay.split("[")[0] for fate in seen} >= {
        "", "local", "none", "relay.lan.example", "tls.lan.example", "filter.lan.example", "127.0.0.1",
        "lmtp.lan.example"}
    assert fates["stock"]["held by the site's own table"][0].dsn == "4.7.4"
    assert fates["stock"]["emoji domain"][0].status == "sent"


def test_the_delivery_status_filter_lets_a_sites_own_encrypt_wait_where_stock_postfix_bounces(
        shared_lab: Lab, shared_forcetls: Forcetls):
    """The one line of the snippet that decides a fate without any row."""
    shared_forcetls.reset()
    seen = {}
    for state in ("stock", "forcetls"):
        shared_lab.reset(state)
        partner = shared_lab.partners.add("refused-502")
        table = shared_lab.postfix.table("site_tls_policy", {partner.domain: "encrypt"})
        shared_lab.postfix.set(smtp_tls_policy_maps=table)
        shared_lab.postfix.reload()
        outcome = shared_lab.outcome(shared_lab.send(partner.address()))
        seen[state] = (outcome.status, outcome.dsn)
    assert seen == {"stock": ("bounced", "5.5.1"), "forcetls": ("deferred", "4.5.1")}
