"""`forcetls setup --apply` with an empty policy: no message's fate changes, whatever the site had before.

Each site is played twice, as it was and after setup; what became of each message is compared (see fates.py). Then setup
is undone, and main.cf and master.cf are what they were, byte for byte. A site's own `encrypt` where the partner answers
STARTTLS with 5xx is the one fate that setup is meant to change (test_empty_policy.py tells of it).
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import pytest

from fates import Fate, fates_of, settle
from lab.catalogue import Partner
from lab.forcetls import Daemon, Forcetls
from lab.lab import Lab
from lab.network import LAN_CLIENT, OUTSIDE_CLIENT
from lab.partner import PartnerServer
from lab.postfix import Postfix
from lab.site_services import PolicyService, TlsPolicyResolver
from lab.smtp_client import Submission
from lab.solo import Place
from lab.waiting import wait_for

OURS = "alice@ours.example"
KINDS = ("good", "clear", "refused-454", "refused-502", "alert", "close", "expired", "tls1.0", "greylist",
         "clear-then-good")
SECOND_PORT = 10125
FILTER_PORT, BACK_PORT = 10025, 10026
MILTER_ADDRESS = "inet:127.0.0.1:8899"
READY_DEADLINE_S = 20


@dataclass
class World:
    """The hosts around the mail host, and what the sites have of their own."""

    lab: Lab
    partners: dict[str, Partner]
    servers: dict[str, PartnerServer]
    resolver: TlsPolicyResolver
    greylisting: PolicyService
    milter: Daemon

    def address(self, kind: str) -> str:
        """An address at the partner of that kind; an address is itself."""
        return kind if "@" in kind else self.partners[kind].address()


@pytest.fixture(scope="module", name="world")
def _world(shared_lab: Lab) -> World:
    lab = shared_lab
    partners = {kind: lab.partners.add(kind) for kind in KINDS}
    partners |= {"no such user": lab.partners.add("good", replies={"RCPT": "550 5.1.1 no such user"}),
                 **{name: lab.partners.add(kind) for name, kind in (
                     ("held", "clear"), ("secure", "good"), ("held by STS", "wrong-name"), ("STS", "good"),
                     ("greylisted here", "good"), ("forced by the milter", "good"))}}
    clear, lmtp, tls = (lab.partners.behaviour(kind, "relay-tls.lan.example")[0]
                        for kind in ("clear", "lmtp", "self-signed"))
    servers = {"relay": lab.partners.serve("relay-clear.lan.example", clear),
               "relay by TLS": lab.partners.serve("relay-tls.lan.example", tls, port=587),
               "filter": lab.partners.serve("content-filter.lan.example", clear, port=FILTER_PORT),
               "mailboxes": lab.partners.serve_unix(lab.postfix.queue_directory / "private/mailboxes", "lmtp", lmtp)}
    resolver = TlsPolicyResolver({partners[name].domain: f"secure match=mx1.{partners[name].domain} servername=hostname"
                                  for name in ("held by STS", "STS")})
    greylisting = PolicyService(lambda request: "451 4.7.1 greylisted by the site" if request["recipient"].endswith(
        partners["greylisted here"].domain) else "DUNNO")
    place = Place()
    place.init(f"INSERT INTO domain_policy(domain) VALUES ('{partners['forced by the milter'].domain}')")
    milter = place.daemon("forcetls-milter", "--listen", MILTER_ADDRESS)
    milter.start()
    wait_for(lambda: "ready" in milter.output(), READY_DEADLINE_S, "the site's own milter", milter.output)
    yield World(lab, partners, servers, resolver, greylisting, milter)
    milter.stop()
    resolver.close()
    greylisting.close()


# -- messages --------------------------------------------------------------------------------------------------------

Sent = list[tuple[Submission, list[str]]]
HandIn = Callable[[World, int], Sent]


def _to(*kinds: str, sender: str = OURS, source: str | None = None, tls: bool = False,
        port: int | None = None) -> HandIn:
    """By SMTP; to the port of the instance, or to another one."""

    def hand_in(world: World, instance_port: int) -> Sent:
        recipients = [world.address(kind) for kind in kinds]
        with world.lab.client(source, port or instance_port) as client:
            assert not tls or client.starttls().code == 250
            return [(client.send(world.address(sender) if sender else "", recipients), recipients)]

    return hand_in


def _by_sendmail(*kinds: str) -> HandIn:
    def hand_in(world: World, instance_port: int) -> Sent:
        del instance_port
        recipients = [world.address(kind) for kind in kinds]
        return [(world.lab.sendmail(*recipients), recipients)]

    return hand_in


def _through_filter(world: World, instance_port: int) -> Sent:
    """To the content filter, and back by the port for filtered mail (the test is the filter's second half)."""
    there, recipients = _to("good", "clear", "close", OURS)(world, instance_port)[0]
    settle(world.lab.postfix.log, there, recipients)
    with world.lab.client(port=BACK_PORT) as client:
        back = client.send(OURS, recipients, there.message)
    return [(there, recipients), (back, recipients)]


PARTNERS: dict[str, HandIn] = {f"partner: {kind}": _to(kind) for kind in KINDS}
LOCAL: dict[str, HandIn] = {
    "local mailbox": _to(OURS), "unknown local user": _to("nobody-here@ours.example"),
    "null sender": _to("good", "clear", OURS, sender=""), "unknown domain": _to("u@no-such-domain.example"),
    "several recipients": _to("good", "clear", "close", "no such user", OURS)}
WAYS_IN: dict[str, HandIn] = {
    "a bounce": _to("no such user", sender="clear"), "sendmail(1)": _by_sendmail("good", "clear", "close", OURS),
    "LAN client in clear": _to("good", "clear", source=LAN_CLIENT),
    "client outside, in clear": _to("good", "clear", source=OUTSIDE_CLIENT),
    "client outside, over TLS": _to("good", "clear", source=OUTSIDE_CLIENT, tls=True)}


# -- sites -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Site:
    """A mail host of some administrator: its main.cf, more of its configuration, the messages to compare."""

    main_cf: dict[str, str] = field(default_factory=dict)
    more: Callable[[World, Postfix], None] = lambda world, postfix: None
    messages: dict[str, HandIn] = field(default_factory=dict)
    instance: str = ""  # "first" or "second" of two; otherwise there is one.


# Every site has what people leave in such files, too.
NOTES = {"main.cf": """
# What the site has written down:
site_networks = 127.0.0.0/8,
    10.92.0.0/16
\t# and that of the office
    203.0.113.0/24
mynetworks = $site_networks
""", "master.cf": """
# An old entry:
#old unix - - y - - smtp
notes  unix  -       n       n       -       -       pipe
    flags=Rq user=nobody
  # with its arguments
    argv=/bin/false $sender
"""}


def _with_postmulti(world: World, postfix: Postfix) -> None:
    """Both instances as postmulti(1) manages them: the first one knows the other."""
    first, second = world.lab.postfix, world.lab.instance("postfix-second")
    first.set(multi_instance_enable="yes", multi_instance_wrapper="${command_directory}/postmulti -p --",
              multi_instance_directories=str(second.etc))
    second.set(multi_instance_enable="yes", multi_instance_name="postfix-second")
    # It wants the first one to be the host's own.
    listed = subprocess.run(["unshare", "-m", "sh", "-c", f"mount --bind {first.etc} /etc/postfix && postmulti -l"],
                            capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in listed.stdout.splitlines()] == ["/etc/postfix", str(second.etc)]
    (second if postfix is first else first).reload()


def _with_filter(world: World, postfix: Postfix) -> None:
    del world
    postfix.set_service(f"127.0.0.1:{BACK_PORT} inet n - y - - smtpd -o content_filter= "
                        "-o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters")


def _with_everything(world: World, postfix: Postfix) -> None:
    """LAN server, LMTP, TLS tables, milter, policy service, submission: all that does not exclude one another."""
    domain = {name: partner.domain for name, partner in world.partners.items()}
    own_table = postfix.table("tls_policy", {domain["held"]: "secure", domain["secure"]: "secure match=hostname",
                                             "[relay-tls.lan.example]:587": "encrypt"})
    resolver = f"socketmap:{world.resolver.address}:postfix"
    postfix.set(
        transport_maps=postfix.table("transport", {
            "lan.example": "smtp:[relay-clear.lan.example]", "bare.example": "smtp:relay-clear.lan.example",
            "tls.example": "relay:[relay-tls.lan.example]:587"}),
        mailbox_transport="lmtp:unix:private/mailboxes", smtp_tls_policy_maps=f"{own_table}, {resolver}",
        smtpd_recipient_restrictions=f"reject_non_fqdn_recipient, check_policy_service {world.greylisting.address}",
        smtpd_milters=MILTER_ADDRESS, milter_default_action="accept")
    postfix.set_service(
        "submission inet n - y - - smtpd -o syslog_name=postfix/submission -o smtpd_tls_security_level=encrypt "
        "-o smtpd_recipient_restrictions=permit_mynetworks,reject -o milter_macro_daemon_name=ORIGINATING")


SITES = {
    "stock Debian": Site(messages={**PARTNERS, **LOCAL, **WAYS_IN}),
    "relayhost as a bare name": Site({"relayhost": "relay-clear.lan.example"}, messages=LOCAL),
    "relayhost in brackets": Site({"relayhost": "[relay-tls.lan.example]:587"}, messages=LOCAL),
    "a content filter on another host": Site(
        {"content_filter": "smtp:[content-filter.lan.example]:10025"}, _with_filter, {"filter": _through_filter}),
    "smtp_enforce_tls": Site({"smtp_tls_security_level": "", "smtp_enforce_tls": "yes"}, messages={
        kind: PARTNERS[kind] for kind in PARTNERS if "502" not in kind}),
    "everything": Site(more=_with_everything, messages={
        **LOCAL, **WAYS_IN, "LAN server": _to("u@lan.example"), "LAN server by its bare name": _to("u@bare.example"),
        "LAN server by the site's rule": _to("u@tls.example"), "held by the site's table": _to("held"),
        "sent by the site's table": _to("secure"), "held by STS": _to("held by STS"), "sent by STS": _to("STS"),
        "refused by the site's policy service": _to("greylisted here", "good"),
        "refused by the site's milter": _to("forced by the milter", "good", source=OUTSIDE_CLIENT),
        "not refused over TLS": _to("forced by the milter", source=OUTSIDE_CLIENT, tls=True),
        "submission": _to("good", "clear", OURS, source=OUTSIDE_CLIENT, tls=True, port=587),
        "submission in clear": _to("good", port=587)}),
    "the first of two instances": Site(more=_with_postmulti, messages={**LOCAL, **WAYS_IN}, instance="first"),
    "the second of two instances": Site(more=_with_postmulti, messages={**PARTNERS, **LOCAL}, instance="second"),
}
CASES = [(site, what) for site, spec in SITES.items() for what in spec.messages]


@dataclass
class Played:
    """The fates at one site before and after, and its files before and after --undo."""

    before: dict[str, list[Fate]]
    after: dict[str, list[Fate]]
    files: list[list[bytes]]
    again: str


@pytest.fixture(scope="module", name="second")
def _second(shared_lab: Lab) -> Forcetls:
    """A second instance of Postfix on the mail host, with daemons of its own."""
    postfix = shared_lab.start_second_instance(SECOND_PORT)
    forcetls = Forcetls(shared_lab.directory / "forcetls-second", postfix)
    forcetls.init()
    forcetls.start()
    yield forcetls
    forcetls.stop()


@pytest.fixture(scope="module", name="played")
def _played(request: pytest.FixtureRequest, world: World, shared_forcetls: Forcetls) -> Callable[[str], Played]:
    results: dict[str, Played | None] = {}

    def play(name: str) -> Played:
        if name not in results:
            results[name] = None
            second = request.getfixturevalue("second") if SITES[name].instance else None
            forcetls = second if SITES[name].instance == "second" else shared_forcetls
            results[name] = _play(world, forcetls, SITES[name])
        assert results[name] is not None, "could not be played, see the first failure"
        return results[name]

    return play


def _play(world: World, forcetls: Forcetls, site: Site) -> Played:
    postfix = forcetls.postfix
    world.lab.reset("stock")
    forcetls.reset()
    forcetls.set_policy("DELETE FROM domain_policy")
    site.more(world, postfix)
    postfix.set(**site.main_cf)
    for name, text in NOTES.items():
        with (postfix.etc / name).open("a", encoding="ascii") as file:
            file.write(text)
    postfix.cool_configuration()
    postfix.reload()
    before, files = _round(world, postfix, site), [_files(postfix.etc)]
    forcetls.set_up("--apply")
    files.append(_files(postfix.etc))
    after = _round(world, postfix, site)
    again = forcetls.set_up("--apply")
    forcetls.set_up("--undo")
    return Played(before, after, [*files, _files(postfix.etc)], again)


def _round(world: World, postfix: Postfix, site: Site) -> dict[str, list[Fate]]:
    servers = [*world.lab.partners.servers]
    sent = {what: hand_in(world, postfix.smtpd_port) for what, hand_in in site.messages.items()}
    for submission, recipients in (one for several in sent.values() for one in several):
        settle(postfix.log, submission, recipients)
    return {what: [fate for submission, recipients in several
                   for fate in fates_of(postfix.log, servers, submission, recipients)]
            for what, several in sent.items()}


def _files(directory: Path) -> list[bytes]:
    return [(directory / name).read_bytes() for name in ("main.cf", "master.cf")]


@pytest.mark.parametrize(("site", "what"), CASES, ids=[f"{site}: {what}" for site, what in CASES])
def test_setup_with_an_empty_policy_changes_no_fate(played: Callable[[str], Played], site: str, what: str):
    assert played(site).after[what] == played(site).before[what]


@pytest.mark.parametrize("site", SITES)
def test_setup_changes_the_files_and_undo_restores_every_byte(played: Callable[[str], Played], site: str):
    as_they_were, applied, undone = played(site).files
    assert applied != as_they_were
    assert undone == as_they_were


@pytest.mark.parametrize("site", SITES)
def test_a_second_setup_finds_nothing_to_change(played: Callable[[str], Played], site: str):
    assert "nothing to change" in played(site).again


def test_the_sites_have_messages_of_every_fate(played: Callable[[str], Played]):
    """Else the comparison would say little."""
    everything = played("everything").before
    assert everything["held by the site's table"][0].dsn == "4.7.4"
    assert everything["held by STS"][0].dsn == "4.7.5"
    assert everything["sent by STS"][0].went == everything["sent by the site's table"][0].went == "TLSv1.3"
    assert [fate.reply for fate in everything["refused by the site's policy service"]] == [451, 250]
    assert [fate.reply for fate in everything["refused by the site's milter"]] == [451, 250]
    assert everything["not refused over TLS"][0].status == "sent"
    assert everything["LAN server"][0].relay.startswith("relay-clear.lan.example")
    assert everything["LAN server by the site's rule"][0].went == "TLSv1.3"
    assert everything["local mailbox"][0].relay.endswith("[private/mailboxes]")
    assert played("smtp_enforce_tls").before["partner: clear"][0].dsn == "4.7.4"
    assert played("relayhost in brackets").before["unknown domain"][0].went == "TLSv1.3"


BREAKAGES = ("clear", "refused-454", "refused-502", "alert", "close", "drop", "expired", "wrong-name", "anonymous")


def test_after_setup_a_partner_that_is_broken_for_a_while_gets_every_message_exactly_once(
        shared_lab: Lab, shared_forcetls: Forcetls):
    lab, forcetls = shared_lab, shared_forcetls
    lab.reset("stock")
    forcetls.reset()
    forcetls.set_up("--apply")
    partners = [lab.partners.add(kind) for kind in BREAKAGES]
    for partner in partners:
        forcetls.add_row(partner.domain, "secure")
    sent = [(partner, lab.send(partner.address())) for partner in partners for _ in range(3)]
    for partner, submission in sent:
        assert lab.outcome(submission).status == "deferred", partner.kind
    for partner in partners:
        assert not partner.messages, partner.kind
        lab.partners.change(partner, "good")
    lab.postfix.flush()
    for partner, submission in sent:
        assert lab.outcome(submission, status="sent").dsn == "2.0.0", partner.kind
        lab.postfix.log.wait_until_removed(submission.queue_id)
        assert [message.tls_version for message in partner.received(submission.token)] == ["TLSv1.3"], partner.kind
        assert submission.queue_id not in lab.postfix.log.notifications
        lab.assert_never_in_clear(submission.token)
    assert [len(partner.messages) for partner in partners] == [3] * len(partners)
    forcetls.set_up("--undo")
