"""Mail hosts as their administrators left them: partners with a row, and a configuration that goes round the row.

A Bypass is one line of the table in bypasses.py. The bypasses of one site are configured together, and their messages
are sent together.
"""

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Callable, Iterator, Mapping

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.partner import PartnerServer
from lab.smtp_client import Submission

TABLE_MAP = "socketmap:unix:forcetls/map.sock:tls"
RELAY_PREFIX = "relay-"
DEADLINE_S = 90
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Bypass:
    """One way round a row. In all texts {domain} and the other names of Case.names stand for this bypass' own."""

    what: str
    site: str
    # How it is configured: the partner and its row, what stands in main.cf ("@" is the name of the parameter's own
    # table), lines of tables by parameter, entries of master.cf, another host ({relay}) or domain ({other}) of a kind.
    partner: str = "clear"
    domain: str = ""
    row: Mapping[str, str] = field(default_factory=lambda: {"outbound": "encrypt"})
    main_cf: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    master_cf: tuple[str, ...] = ()
    other: str = "clear"
    port: int = 25
    sql: str = ""
    # Which message, and what becomes of it while nothing is done about it: see fate().
    sender: str = "{sender}"
    recipient: str = "user@{domain}"
    play: "Play | None" = None
    arrives_in_clear: bool = False  # Over the link, from a client: what is captured then proves nothing.
    before: str = "partner CLEAR"
    since: tuple[int, int] = (3, 7)
    until: tuple[int, int] = (99, 0)  # The first release that does not have it any more.
    # What doctor says (nothing, if finding is empty), how it is closed, and what becomes of the message then.
    finding: str = ""
    severity: str = "leak"
    about: str = "{domain}"
    closed_by: str = "setup"
    after: str = "deferred 4.7.4"

    def texts(self) -> Iterator[str]:
        """All texts in which names may stand."""
        yield from (*self.main_cf.values(), *self.tables.values(), *self.master_cf, *self.row.values())
        yield from (self.sql, self.sender, self.recipient)


@dataclass
class Case:
    """A bypass with its servers and names."""

    bypass: Bypass
    partner: Partner
    names: dict[str, str]
    servers: dict[str, PartnerServer]
    state: dict[str, object] = field(default_factory=dict)

    def text(self, template: str) -> str:
        """The template with the names of this case."""
        return template.format(**self.names)

    @property
    def sender(self) -> str:
        """The envelope sender."""
        return self.text(self.bypass.sender)

    @property
    def recipient(self) -> str:
        """The envelope recipient."""
        return self.text(self.bypass.recipient)


Play = Callable[[Lab, Forcetls, Case], Submission]


def make_case(lab: Lab, bypass: Bypass) -> Case:
    """Starts the servers that a bypass needs."""
    number = next(_numbers)
    partner = lab.partners.add(bypass.partner, bypass.domain or None)
    lab.dns.add_mx(f"sub.{partner.domain}", f"mx1.{partner.domain}")
    names = {"number": str(number), "domain": partner.domain, "DOMAIN": partner.domain.upper(),
             "mx": f"mx1.{partner.domain}", "mx_address": partner.server.address if partner.servers else "",
             "relay": f"{RELAY_PREFIX}{number}.isp.example", "other": "", "sender": f"alice+{number}@ours.example",
             "config": str(lab.postfix.etc), "ca": str(lab.pki.trusted.cert_file),
             "digest": partner.certificate.digest if partner.certificate else ""}
    servers = dict(zip(("partner", "second"), partner.servers))
    texts = " ".join(bypass.texts())
    if "{relay}" in texts:
        behaviour, _ = lab.partners.behaviour(bypass.other, names["relay"])
        servers["relay"] = lab.partners.serve(names["relay"], behaviour, port=bypass.port)
    if "{other}" in texts:
        other = lab.partners.add(bypass.other)
        names["other"], servers["other"] = other.domain, other.server
    return Case(bypass, partner, names, servers)


def configure(lab: Lab, cases: list[Case]) -> None:
    """Stock Postfix that asks our table, and all that the bypasses want."""
    main_cf = {"smtp_tls_policy_maps": TABLE_MAP}
    tables: dict[str, dict[str, str]] = defaultdict(dict)
    for case in cases:
        for name, template in case.bypass.main_cf.items():
            value = case.text(template)
            assert main_cf.get(name, value) in (value, TABLE_MAP), f"two values of {name} in {case.bypass.site}"
            main_cf[name] = value
        for parameter, template in case.bypass.tables.items():
            key, value = case.text(template).split(None, 1)
            tables[parameter][key] = value
        for entry in case.bypass.master_cf:
            lab.postfix.set_service(case.text(entry))
    for parameter, entries in tables.items():
        name = lab.postfix.table(parameter, entries)
        main_cf[parameter] = main_cf[parameter].replace("@", name) if "@" in main_cf.get(parameter, "") else name
    lab.postfix.set(**main_cf)
    lab.postfix.reload()


def add_rows(forcetls: Forcetls, cases: list[Case]) -> None:
    """The rows of all partners, and no other, in force."""
    statements = ["DELETE FROM domain_policy"]
    for case in cases:
        if case.bypass.row:
            columns = {"domain": "{domain}", **case.bypass.row}
            values = ", ".join(f"'{case.text(value)}'" for value in columns.values())
            statements.append(f"INSERT INTO domain_policy({', '.join(columns)}) VALUES ({values})")
        statements.append(case.text(case.bypass.sql))
    last = f"last-{next(_numbers)}.example"
    statements.append(f"INSERT INTO domain_policy(domain) VALUES ('{last}')")
    forcetls.set_policy("; ".join(filter(None, statements)))
    forcetls.wait_for_answer("tls", last, "OK encrypt")


def by_smtp(lab: Lab, forcetls: Forcetls, case: Case) -> Submission:
    """Handed in by SMTP from this host."""
    del forcetls
    return lab.send(case.recipient, sender=case.sender)


def hand_in(lab: Lab, forcetls: Forcetls, cases: list[Case]) -> list[Submission]:
    """One message for each bypass."""
    return [(case.bypass.play or by_smtp)(lab, forcetls, case) for case in cases]


def fate(lab: Lab, case: Case, submission: Submission) -> str:
    """What became of a message: who took it and how ("partner CLEAR", "relay TLSv1.3"), and how it ended otherwise."""
    replies = (submission.mail, *submission.replies.values(), submission.end_of_data)
    words = {f"refused {reply.code}" for reply in replies if reply and not reply.accepted}
    if submission.queue_id:
        outcome = lab.outcome(submission, deadline_s=DEADLINE_S)
        copies = lab.postfix.log.outcomes(submission.queue_id)
        words |= {f"{one.status} {one.dsn}" for one in (outcome, *copies) if one.status != "sent"}
    for server in lab.partners.servers:
        words |= {f"{_label(case, server)} {message.tls_version or 'CLEAR'}"
                  for message in list(server.messages) if submission.token in message.data}
    return ", ".join(sorted(words)) or "vanished"


def _label(case: Case, server: PartnerServer) -> str:
    if server.hostname.startswith(RELAY_PREFIX):
        return "relay"  # Its own, or that of another bypass at the same site.
    return next((label for label, own in case.servers.items() if own is server), server.hostname)
