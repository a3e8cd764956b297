"""Each known way round a row: it is real, doctor names it, and setup or doctor's own fix closes it (see bypasses.py).

The ways that one site has are played together: messages are sent as the site was found, doctor looks, setup is applied
(if it must close one of them), each remaining finding's fix is run as it is printed, doctor looks again, and the same
kinds of message are sent again.
"""

from dataclasses import dataclass, field
from typing import Callable, Iterator

import pytest

from bypasses import BYPASSES
from lab.forcetls import Forcetls
from lab.lab import Lab
from rows import settle
from sites import Bypass, Case, add_rows, configure, fate, hand_in, make_case

ROWS = pytest.mark.parametrize("bypass", BYPASSES, ids=[bypass.what for bypass in BYPASSES])
TOKENS = rb"body-\d+-secret"
Finding = dict[str, str]


@dataclass
class Played:
    """What was seen of one bypass."""

    case: Case
    before: str = ""
    found: list[Finding] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)
    after: str = ""
    in_clear_after: bool = False

    def about(self, findings: list[Finding]) -> list[Finding]:
        """Those of the findings that tell of this bypass, whatever they call it."""
        about = self.case.text(self.case.bypass.about)
        return [finding for finding in findings if about in f"{finding['where']} {finding['what']}"]

    def named(self, findings: list[Finding]) -> list[Finding]:
        """Those that tell of it by the right name."""
        return [finding for finding in self.about(findings) if finding["id"] == self.case.bypass.finding]


def _play(lab: Lab, forcetls: Forcetls, site: str) -> dict[str, Played]:
    lab.reset("stock")
    forcetls.reset()
    every = [Played(make_case(lab, bypass)) for bypass in BYPASSES if bypass.site == site]
    cases = [one.case for one in every]
    configure(lab, cases)
    add_rows(forcetls, cases)
    for one, submission in zip(every, hand_in(lab, forcetls, cases), strict=True):
        one.before = fate(lab, one.case, submission)
    _close(forcetls, every)
    sent = hand_in(lab, forcetls, cases)
    for one, submission in zip(every, sent, strict=True):
        one.after = fate(lab, one.case, submission)
    in_clear = lab.capture.found(TOKENS)
    for one, submission in zip(every, sent, strict=True):
        one.in_clear_after = submission.token in in_clear
    return {one.case.bypass.what: one for one in every}


def _close(forcetls: Forcetls, every: list[Played]) -> None:
    """What an administrator does: doctor, setup, doctor's fixes, doctor."""
    _, findings = forcetls.doctor()
    for one in every:
        one.found = findings
    if any(one.case.bypass.closed_by == "setup" for one in every):
        forcetls.set_up("--apply")
        _, findings = forcetls.doctor()
    fixes = [finding["fix"] for one in every if one.case.bypass.closed_by == "fix" for finding in one.named(findings)]
    for command in dict.fromkeys(fixes):
        forcetls.run_as_administrator(command)
    for one in every:
        if one.case.bypass.closed_by not in ("", "setup", "fix"):
            forcetls.set_policy(one.case.text(one.case.bypass.closed_by))
    settle(forcetls)
    _, findings = forcetls.doctor()
    for one in every:
        one.left = findings


@pytest.fixture(scope="module", name="played")
def _played(shared_lab: Lab, shared_forcetls: Forcetls) -> Iterator[Callable[[Bypass], Played]]:
    """Plays a site when its first bypass is asked for; one that fails is not tried again. No row is left behind."""
    sites: dict[str, dict[str, Played]] = {}

    def play(bypass: Bypass) -> Played:
        if bypass.site not in sites:
            sites[bypass.site] = {}
            sites[bypass.site] = _play(shared_lab, shared_forcetls, bypass.site)
        assert sites[bypass.site], f"{bypass.site}: could not be played, see the first failure"
        return sites[bypass.site][bypass.what]

    yield play
    shared_lab.reset("stock")
    shared_forcetls.reset()
    shared_forcetls.set_policy("DELETE FROM domain_policy")


def _is_real(lab: Lab, bypass: Bypass) -> bool:
    """Whether this release of Postfix has it."""
    return bypass.since <= lab.postfix.version < bypass.until


@ROWS
def test_the_way_round_a_row_is_real(shared_lab: Lab, played: Callable[[Bypass], Played], bypass: Bypass):
    assert played(bypass).before == (bypass.before if _is_real(shared_lab, bypass) else bypass.after)


@ROWS
def test_doctor_names_it_and_only_it(shared_lab: Lab, played: Callable[[Bypass], Played], bypass: Bypass):
    one = played(bypass)
    if bypass.finding and _is_real(shared_lab, bypass):
        assert {finding["severity"] for finding in one.named(one.found)} == {bypass.severity}, one.found
    elif shared_lab.postfix.version < bypass.until:  # Else doctor may be more careful than the lab has reason to be.
        assert not [finding for finding in one.about(one.found) if finding["severity"] == "leak"]


@ROWS
def test_it_is_closed(played: Callable[[Bypass], Played], bypass: Bypass):
    one = played(bypass)
    assert one.after == bypass.after
    assert not one.named(one.left)
    assert not one.in_clear_after or bypass.arrives_in_clear
