"""Rows for the tests of admission: inserted with the stock shell, and in force in both daemons on return."""

from pathlib import Path

from lab.catalogue import Partner
from lab.forcetls import IN_FORCE_DEADLINE_S, Forcetls
from lab.lab import Lab
from lab.waiting import wait_for


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
    """Waits until what was committed is in force in policyd and in the milter, by one more row.

    Both log the change counter of the file that they have read; the milter may still be reading an earlier one.
    """
    domain = f"settled-{forcetls.query('SELECT count(*) FROM policy_change').strip()}.example"
    said = len(forcetls.milter.output())
    forcetls.set_policy(f"INSERT INTO domain_policy(domain) VALUES ('{domain}')")
    in_force = f"(change counter {_change_counter(forcetls.policy_db)}, "
    forcetls.wait_for_answer("tls", domain, "OK encrypt")
    wait_for(lambda: in_force in forcetls.milter.output()[said:], IN_FORCE_DEADLINE_S,
             f"the milter to have the row {in_force}", forcetls.milter.output)


def _change_counter(database: Path) -> int:
    """SQLite counts the commits there (https://www.sqlite.org/fileformat.html, 1.3.7)."""
    return int.from_bytes(database.read_bytes()[24:28], "big")
