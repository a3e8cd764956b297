"""Rows for the tests of admission: inserted with the stock shell, and in force in both daemons on return."""

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.waiting import wait_for

IN_FORCE_DEADLINE_S = 5


def add_row(lab: Lab, forcetls: Forcetls, kind: str = "good", **columns: object) -> Partner:
    """A partner with a row of these columns."""
    partner = lab.partners.add(kind)
    names = ", ".join(["domain", *columns])
    values = ", ".join(str(value) if isinstance(value, int) else f"'{value}'"
                       for value in (partner.domain, *columns.values()))
    forcetls.set_policy(f"INSERT INTO domain_policy({names}) VALUES ({values})")
    settle(forcetls)
    return partner


def settle(forcetls: Forcetls) -> None:
    """Waits until what was committed is in force in policyd and in the milter, by one more row."""
    domain = f"settled-{forcetls.query('SELECT max(seq) FROM policy_change').strip()}.example"
    before = forcetls.milter.output().count("policy in force")
    forcetls.set_policy(f"INSERT INTO domain_policy(domain) VALUES ('{domain}')")
    forcetls.wait_for_answer("tls", domain, "OK encrypt", IN_FORCE_DEADLINE_S)
    wait_for(lambda: forcetls.milter.output().count("policy in force") > before, IN_FORCE_DEADLINE_S,
             "the milter to have the row", forcetls.milter.output)
