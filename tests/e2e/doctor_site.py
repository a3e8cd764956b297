"""What the tests of forcetls doctor share: its exit statuses, a host with our lines, its findings and its commands."""

import subprocess

import pytest

from lab.forcetls import Forcetls
from lab.lab import Lab

NOTHING, WARNING, LEAK, NOT_EXAMINED = 0, 1, 2, 3


def ids(findings: list[dict], *severities: str) -> set[str]:
    """The ids of the findings, of these severities."""
    return {finding["id"] for finding in findings if not severities or finding["severity"] in severities}


@pytest.fixture(name="bolted")
def _bolted(forcetls: Forcetls):
    """Our lines in main.cf, one row."""
    forcetls.set_policy("DELETE FROM domain_policy")
    forcetls.set_policy("INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')")
    return forcetls


def run_fix(lab: Lab, command: str) -> None:
    """Runs a command that doctor printed, as root. Where it ends with a reload, no process goes by the old values."""
    before = lab.postfix.mark_before_reload()
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}\n{result.stderr}"
    if command.endswith(" reload"):
        lab.postfix.wait_for_reload(before, smtpd_answers=False)
