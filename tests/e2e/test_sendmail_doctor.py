"""Each known way round a row in a Sendmail configuration: it is real, doctor names it, and it is closed."""

import itertools
import re
from dataclasses import dataclass, field
from typing import Callable

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.host_files import CA_STORE
from lab.lab import Lab
from lab.message import compose
from lab.partner import Behaviour
from lab.sendmail import REPOSITORY, Sendmail
from lab.sendmail_lines import write_lines
from lab.site_services import FaultyMap
from sendmail_site import NEEDS_SENDMAIL, doctor, fate_of_mail, make_bare, search_list, set_up, start_site
from sendmail_table import DIGEST, NO_ANSWER

HELD = r"TLS is required: this session has verify="
LOOKUP_LINE = "Ksendmail socket -q -d5 -T<TMPF> "
_numbers = itertools.count(1)
SMART_HOST = "smart.ours.example"
OWN_RULE = "LOCAL_TLS_RCPT\nR$*\t$@ OK\n"

pytestmark = NEEDS_SENDMAIL

Play = Callable[[Lab, Forcetls, Sendmail, Partner], str]


def _one_message(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, partner: Partner) -> str:
    """A message to the partner."""
    del forcetls
    return fate_of_mail(lab, sendmail, partner)


def _beside_one_that_bounces(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, partner: Partner) -> str:
    """The forced recipient is the second one; the first is refused for good."""
    del forcetls
    refusing = lab.partners.add("clear", replies={"RCPT": "550 5.1.1 no such user"})
    lab.dns.add_mx(f"beside-{partner.domain}", refusing.server.hostname)
    sendmail.send(compose(), f"u@beside-{partner.domain}", partner.address())
    sendmail.retry()
    return sendmail.waiting(partner.address()) or "GONE"


def _by_an_escape(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, partner: Partner) -> str:
    """The resolver takes a backslash and three digits for a byte."""
    del lab, forcetls
    message, recipient = compose(), f"u@\\{ord(partner.domain[0]):03d}{partner.domain[1:]}"
    sendmail.send(message, recipient)
    return "CLEAR" if partner.received(message.token) else sendmail.waiting(recipient) or "GONE"


def _by_an_alias(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, partner: Partner) -> str:
    """Somebody forges an alias of the forced domain."""
    stranger, domain = lab.partners.add("clear"), f"aliased-{next(_numbers)}.example"
    del partner
    lab.dns.add_cname(domain, stranger.domain)
    forcetls.add_row(domain, "encrypt")
    message = compose()
    sendmail.send(message, f"u@{domain}")
    return "CLEAR" if stranger.received(message.token) else sendmail.waiting(f"u@{domain}") or "GONE"


def _by_the_search_list(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, partner: Partner) -> str:
    """DNS does not know the forced domain, and this host's own domain has a wildcard."""
    stranger, domain = lab.partners.add("clear"), f"completed-{next(_numbers)}.example"
    del partner
    lab.dns.add_mx(f"{domain}.ours.example", stranger.server.hostname)
    lab.dns.fail(domain)
    forcetls.add_row(domain, "encrypt")
    message = compose()
    with search_list("ours.example"):
        sendmail.send(message, f"u@{domain}")
    return "CLEAR" if stranger.received(message.token) else sendmail.waiting(f"u@{domain}") or "GONE"


def _bounced(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, partner: Partner) -> str:
    """The partner refuses the recipient; who sent it is reached in clear."""
    del forcetls
    sender, message = lab.partners.add("clear"), compose()
    sendmail.send(message, partner.address(), sender=sender.address())
    sendmail.retry()
    assert len(sender.messages) == 1
    return "CLEAR" if sender.received(message.token) else "headers only"


def _unforced(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, partner: Partner) -> str:
    """A partner of the same kind without a row."""
    other = lab.partners.add("alert")
    del partner
    return _one_message(lab, forcetls, sendmail, other)


def _from_outside_while_the_milter_is_down(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, partner: Partner) -> str:
    """A client says that it sends for the partner, whose row wants TLS inbound."""
    del lab
    forcetls.milter.kill()
    try:
        return sendmail.speak("EHLO client.example", f"MAIL FROM:<a@{partner.domain}>")[-1][:3]
    finally:
        forcetls.start_milter()


def _by_a_route(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, partner: Partner) -> str:
    """A route address, by way of somebody without a row."""
    del forcetls
    stranger, message = lab.partners.add("clear"), compose()
    route = f"@{stranger.domain}:{partner.address()}"
    sendmail.send(message, f"<{route}>")
    return "CLEAR" if stranger.received(message.token) else sendmail.waiting(route) or "GONE"


def _by_the_smart_host(lab: Lab, forcetls: Forcetls, sendmail: Sendmail, partner: Partner) -> str:
    """The smart host takes mail in clear, and the partner over TLS."""
    if SMART_HOST not in {server.hostname for server in lab.partners.servers}:
        lab.partners.serve(SMART_HOST, Behaviour())
    return _one_message(lab, forcetls, sendmail, partner)


@dataclass(frozen=True)
class Way:
    """A site, what it does to forced mail, and what doctor must say of it. `changes` as start_site() takes them."""

    what: str
    finding: str
    changes: dict = field(default_factory=dict)
    severity: str = "leak"
    partner: str = "clear"
    replies: dict | None = None
    row: tuple[str, dict] = ("encrypt", {})
    play: Play = _one_message
    before: str = "CLEAR"
    after: str = HELD


def _edit(old: str, new: str) -> dict:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return {"edit": edit}


def _line(switches: str) -> dict:
    return _edit(LOOKUP_LINE, f"Ksendmail socket -q {switches} ")


def _kept(what: str, switches: str) -> Way:
    """A K line that other rulesets would fail open with; ours does not, and doctor says what is wrong."""
    return Way(what, "map-switches", _line(switches), "warning", before=HELD)


WAYS = [
    Way("tls_rcpt does not call the rules", "ruleset-missing",
        {"edit": lambda text: re.sub(r"(?m)^(Stls_rcpt\n)(R.*\n){2}", r"\1", text)}),
    Way("the rules have another name", "ruleset-missing", _edit("SLocal_tls_rcpt", "SLocal_other")),
    Way("tls_rcpt lets mail go before it calls the rules", "ruleset-missing", _edit("Stls_rcpt\n",
                                                                                     "Stls_rcpt\nR$*\t$@ OK\n")),
    Way("a rule of the site before ours", "ruleset-preceded", {"before_ours": OWN_RULE}),
    Way("a rule that lets clear sessions pass", "ruleset-changed",
        _edit("R<$+> $* $| $* $| $*\t$#error", "R<$+> $* $| $* $| $*\t$@ <OK>\nR<$+> $* $| $* $| $*\t$#error")),
    Way("a class that lets sessions without certificate and version pass", "ruleset-changed",
        _edit("C{ForcetlsVersion}", "C{ForcetlsVersion}TLSv1 "), before=HELD),
    Way("the map has another name", "map-missing", _edit("Ksendmail", "Kforced"), "warning", before="GONE"),
    Way("the map is asked without backslashes", "map-quotes", _edit("Ksendmail socket -q ", "Ksendmail socket "),
        play=_by_an_escape, after=NO_ANSWER),
    Way("DNS aliases are followed", "aliases-followed", _edit("DontExpandCnames=True", "DontExpandCnames=False"),
        play=_by_an_alias),
    Way("DNS aliases are followed by an abbreviated option", "aliases-followed",
        {"edit": lambda text: f"{text}\nO dontexpand=False\n"}, play=_by_an_alias),
    Way("names are completed by the search list", "names-completed", _edit(" -DNSRCH -DEFNAMES", ""),
        play=_by_the_search_list, after=r"host map: lookup \(\S+\): deferred"),
    Way("bounces carry the text", "bounce-bodies", _edit(",nobodyreturn", ""), partner="good",
        replies={"RCPT": "550 5.1.1 no such user"}, play=_bounced, after="headers only"),
    Way("several recipients in an envelope", "queue-group", _edit(", r=1", ""), "warning",
        play=_beside_one_that_bounces, before="GONE"),
    Way("no queue group", "queue-group", {"edit": lambda text: re.sub(r"(?m)^Qmqueue.*\n", "", text)}, "warning",
        play=_beside_one_that_bounces, before="GONE"),
    Way("no directory of authorities", "ca-store", _edit("O CACertPath=", "#O CACertPath="), "warning", "good",
        row=("verify", {}), before=r"certificate \(verify=FAIL\)", after="TLSv1.3"),
    Way("no file of authorities", "ca-store", _edit("O CACertFile=", "#O CACertFile="), "warning", "good",
        row=("verify", {}), before=r"certificate \(verify=FAIL\)", after="TLSv1.3"),
    Way("TLSFallbacktoClear, for a forced partner", "falls-back-to-clear",
        {"features": "define(`confTLS_FALLBACK_TO_CLEAR', `true')dnl\n"}, "note", "alert", before=HELD,
        after="TLS handshake failed"),
    Way("TLSFallbacktoClear, for others", "falls-back-to-clear",
        {"features": "define(`confTLS_FALLBACK_TO_CLEAR', `true')dnl\n"}, "note", play=_unforced,
        after="TLS handshake failed"),
    Way("the milter without F=T", "milter-flag", _edit(", F=T,", ","), "warning",
        play=_from_outside_while_the_milter_is_down, before="250", after="451"),
    Way("the milter with F=R", "milter-flag", _edit(", F=T,", ", F=R,"), "warning",
        play=_from_outside_while_the_milter_is_down, before="5", after="451"),
    Way("the milter is not asked", "milter-missing", _edit("O InputMailFilters=forcetls", "O InputMailFilters="), "warning",
        play=_from_outside_while_the_milter_is_down, before="250", after="451"),
    Way("another map answers for the rows", "map-type",
        {"edit": lambda text: re.sub("Ksendmail socket .*", "Ksendmail regex -aNONE .", text)}),
    Way("routes are kept", "routes-kept",
        {"features": "define(`confDONT_PRUNE_ROUTES', `True')dnl\ndefine(`_USE_DEPRECATED_ROUTE_ADDR_')dnl\n"},
        play=_by_a_route),
    Way("by way of a smart host in clear", "next-hop",
        {"features": f"define(`SMART_HOST', `[{SMART_HOST}]')dnl\n"}, "note", "good", play=_by_the_smart_host, before=HELD,
        after="TLSv1.3"),
    _kept("optional", "-d5 -T<TMPF> -o"),
    _kept("no -T", "-d5"), _kept("no -d", "-T<TMPF>"),
]


@pytest.mark.parametrize("way", WAYS, ids=[way.what for way in WAYS])
def test_the_way_round_is_real_and_named_and_closed(lab: Lab, forcetls: Forcetls, way: Way):
    partner = lab.partners.add(way.partner, **({"replies": way.replies} if way.replies else {}))
    level, columns = way.row
    forcetls.add_row(partner.domain, level, **columns)
    broken = start_site(lab, forcetls, **way.changes)
    assert re.match(f".*({way.before})", way.play(lab, forcetls, broken, partner))
    _, findings = doctor(forcetls, broken)
    assert {finding["severity"] for finding in findings if finding["id"] == way.finding} == {way.severity}, findings
    other = {finding["id"] for finding in findings if finding["severity"] != "note"} - {way.finding}
    assert other <= {"row-refused"}, findings  # of rows that other tests left
    right = start_site(lab, forcetls)
    assert re.match(f".*({way.after})", way.play(lab, forcetls, right, partner))
    assert way.finding not in {finding["id"] for finding in doctor(forcetls, right)[1]}


@pytest.mark.parametrize("switches", ["-d5 -T<TMPF> -o", "-d5 -T<TMPF> -t", "-d5", "-o -t -d5", "-d5 -T<TMPF>"])
def test_with_any_line_of_the_map_mail_waits_while_policyd_is_down(lab: Lab, forcetls: Forcetls, switches: str):
    sendmail = start_site(lab, forcetls, **_line(switches))
    partners = [lab.partners.add("clear"), lab.partners.add("good")]
    forcetls.add_row(partners[0].domain, "encrypt")
    forcetls.policyd.kill()
    for partner in partners:
        assert re.search(NO_ANSWER, _one_message(lab, forcetls, sendmail, partner))
    _, findings = doctor(forcetls, sendmail)
    assert "policyd-unreachable" in {finding["id"] for finding in findings}


def test_another_daemon_at_the_socket_is_a_leak_that_doctor_names(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("clear")
    forcetls.add_row(partner.domain, "encrypt")
    service = FaultyMap()
    service.answer = "OK NONE"
    try:
        sendmail = start_site(lab, forcetls, map_address=service.sendmail_address)
        assert _one_message(lab, forcetls, sendmail, partner) == "CLEAR"
        findings = doctor(forcetls, sendmail)[1]
        # Of the rows of all tests, those that are printed.
        assert {finding["severity"] for finding in findings if finding["id"] == "answer-differs"} == {"leak"}
    finally:
        service.close()


def test_a_socket_directory_that_a_group_writes_to_stops_mail_and_is_named(lab: Lab, forcetls: Forcetls):
    sendmail, partner = start_site(lab, forcetls), lab.partners.add("good")
    forcetls.sockets.chmod(0o2770)
    try:
        assert re.search(NO_ANSWER, _one_message(lab, forcetls, sendmail, partner))
        assert "socket-directory" in {finding["id"] for finding in doctor(forcetls, sendmail)[1]}
    finally:
        forcetls.sockets.chmod(0o2750)
    sendmail.retry()
    assert [received.tls_version for received in partner.messages] == ["TLSv1.3"]


def test_try_tls_no_bounces_forced_mail_and_is_named(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("good")
    forcetls.add_row(partner.domain, "encrypt")
    access = lab.directory / "access-try-tls"
    access.write_text(f"Try_TLS:{partner.server.hostname}\tNO\n", encoding="ascii")
    feature = f"FEATURE(`access_db', `hash -T<TMPF> {access}')dnl\n"
    sendmail = start_site(lab, forcetls, feature)
    sendmail.make_map("hash", access)
    assert _one_message(lab, forcetls, sendmail, partner) .startswith("GONE") and not partner.messages
    findings = doctor(forcetls, sendmail)[1]
    assert [finding["certainty"] for finding in findings if finding["id"] == "try-tls-no"] == ["likely"]
    access.write_text("Connect:localhost\tOK\n", encoding="ascii")
    sendmail.make_map("hash", access)
    assert _one_message(lab, forcetls, sendmail, partner) == "TLSv1.3"
    assert "try-tls-no" not in {finding["id"] for finding in doctor(forcetls, sendmail)[1]}


def test_sendmail_1_follows_aliases_unless_submit_mc_forbids_it(lab: Lab, forcetls: Forcetls):
    hub, stranger, domain = lab.partners.add("clear"), lab.partners.add("clear"), "aliased-at-submission.example"
    lab.dns.add_cname(domain, stranger.domain)
    forcetls.add_row(domain, "encrypt")
    sendmail = start_site(lab, forcetls)
    for features, led_to in [("", stranger.domain), ("define(`confDONT_EXPAND_CNAMES', `True')dnl\n", domain)]:
        sendmail.make_submit(hub.server.address, features=features)
        message = compose()
        said = sendmail.submit(message, f"u@{domain}")
        assert [received.recipients for received in hub.received(message.token)] == [(f"u@{led_to}",)], said
        found = {(finding["id"], finding["where"].split(":")[0]) for finding in doctor(forcetls, sendmail)[1]}
        assert (("aliases-followed", "submit.cf") in found) == (led_to != domain)
        assert ("submit-elsewhere", "submit.cf") in found  # the partner that plays this host's own Sendmail
    sendmail.make_submit("127.0.0.1", features=NO_ALIASES + NO_SEARCH_LIST, behind=NO_TEXT)
    assert not _named_of_submit_cf(forcetls, sendmail)


NO_ALIASES = "define(`confDONT_EXPAND_CNAMES', `True')dnl\n"
NO_SEARCH_LIST = "define(`confBIND_OPTS', `WorkAroundBrokenAAAA -DNSRCH -DEFNAMES')dnl\n"
NO_TEXT = "define(`confPRIVACY_FLAGS', `goaway,noetrn,restrictqrun,nobodyreturn')dnl\n"


def _named_of_submit_cf(forcetls: Forcetls, sendmail: Sendmail) -> set[str]:
    return {finding["id"] for finding in doctor(forcetls, sendmail)[1] if finding["where"].startswith("submit.cf")}


def test_sendmail_1_completes_names_unless_submit_mc_forbids_it(lab: Lab, forcetls: Forcetls):
    hub, domain = lab.partners.add("clear"), "completed-at-submission.example"
    lab.dns.add_mx(f"{domain}.ours.example", hub.server.hostname)
    forcetls.add_row(domain, "encrypt")
    sendmail = start_site(lab, forcetls)
    for features, led_to in [(NO_ALIASES, f"{domain}.ours.example"), (NO_ALIASES + NO_SEARCH_LIST, domain)]:
        sendmail.make_submit(hub.server.address, features=features)
        message = compose()
        with search_list("ours.example"):
            said = sendmail.submit(message, f"u@{domain}")
        assert [received.recipients for received in hub.received(message.token)] == [(f"u@{led_to}",)], said
        assert ("names-completed" in _named_of_submit_cf(forcetls, sendmail)) == (led_to != domain)


def test_what_sendmail_1_bounces_carries_no_text_by_a_line_behind_msp_only(lab: Lab, forcetls: Forcetls):
    sendmail, hub = start_site(lab, forcetls), lab.partners.add("clear", replies={"RCPT": "550 5.7.4 no"})
    for before, behind in [(NO_TEXT, ""), ("", NO_TEXT)]:
        sendmail.make_submit(hub.server.address, features=NO_ALIASES + NO_SEARCH_LIST + before, behind=behind)
        message, queue = compose(), sendmail.etc.parent / "clientqueue"
        sendmail.submit(message, "u@refusing.example", sender="alice@elsewhere.example")
        bounces = list(queue.glob("df*"))
        assert bounces and any(message.token in file.read_bytes() for file in bounces) == bool(before)
        for file in queue.iterdir():
            file.unlink()
        assert ("bounce-bodies" in _named_of_submit_cf(forcetls, sendmail)) == bool(before)


def test_rows_that_sendmail_cannot_keep_are_named(lab: Lab, forcetls: Forcetls):
    sendmail = start_site(lab, forcetls)
    rows = {"several-names.example": ("secure", {"match": "a.example:b.example"}), "no-name.example": ("secure", {}),
            "digest.example": ("fingerprint", {"match": DIGEST})}
    forcetls.set_policy("DELETE FROM domain_policy")  # Of one kind doctor names 20 at most.
    for domain, (level, columns) in rows.items():
        forcetls.add_row(domain, level, **columns)
    named = {finding["where"].removeprefix("policy.db: ") for finding in doctor(forcetls, sendmail)[1]
             if finding["id"] == "row-refused"}
    for domain in rows:
        forcetls.set_policy(f"DELETE FROM domain_policy WHERE domain = '{domain}'")
    assert set(rows) <= named


def test_with_the_lines_that_setup_prints_doctor_finds_nothing_and_rows_hold(lab: Lab, forcetls: Forcetls):
    sendmail = start_site(lab, forcetls)
    sendmail.make_submit("127.0.0.1")
    make_bare(sendmail)
    assert {finding["id"] for finding in doctor(forcetls, sendmail)[1] if finding["severity"] == "leak"} == {
        "ruleset-missing", "aliases-followed", "names-completed", "bounce-bodies"}
    wanted = set_up(forcetls, sendmail)
    assert wanted.returncode == 1, wanted.stdout + wanted.stderr
    write_lines(wanted.stdout.replace("/etc/ssl/certs/ca-certificates.crt", str(CA_STORE)))
    not_made = set_up(forcetls, sendmail)
    assert not_made.returncode == 1 and "not in force yet" in not_made.stdout
    sendmail.make()
    sendmail.make_submit_again()
    nothing = set_up(forcetls, sendmail)
    assert (nothing.returncode, nothing.stderr) == (0, ""), nothing.stdout
    status, findings = doctor(forcetls, sendmail)
    assert not [finding for finding in findings if finding["severity"] != "note" and finding["id"] != "row-refused"]
    for kind, level, want in [("clear", "encrypt", HELD), ("good", "verify", "TLSv1.3"), ("clear", "may", "CLEAR")]:
        partner = lab.partners.add(kind)
        forcetls.add_row(partner.domain, level)
        assert re.match(f".*({want})", _one_message(lab, forcetls, sendmail, partner)), (kind, level, status)


@pytest.mark.parametrize("flag", ["--apply", "--undo"])
def test_setup_never_changes_sendmails_files(lab: Lab, forcetls: Forcetls, flag: str):
    sendmail = start_site(lab, forcetls)
    before = (sendmail.etc / "sendmail.mc").read_bytes()
    refused = set_up(forcetls, sendmail, flag)
    assert refused.returncode == 64 and "for Postfix" in refused.stderr
    assert (sendmail.etc / "sendmail.mc").read_bytes() == before


def test_every_finding_has_a_section_in_the_manual():
    sources = "".join(file.read_text("utf-8") for file in (REPOSITORY / "shared" / "mta").glob("sendmail_doctor*.cc"))
    manual = (REPOSITORY / "packaging" / "man" / "forcetls-sendmail.8").read_text("utf-8").replace("\\-", "-")
    found = set(re.findall(r'\{"([a-z]+(?:-[a-z]+)+)", (?:Severity|severity|\w+ \?|one\.|waits|row|ours)', sources))
    assert len(found) > 25
    assert found | {"policy-db-wal", "policy-db-owner"} == set(re.findall(r"^\.SS (\S+)$", manual, re.MULTILINE))
