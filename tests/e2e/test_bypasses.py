"""Each known way round a row: it is real, doctor names it, and setup or doctor's fix closes it (see bypasses.py)."""

from dataclasses import dataclass
from typing import Callable

import pytest

from bypasses import BYPASSES
from lab.forcetls import Forcetls
from lab.lab import Lab
from sites import Bypass, Case, add_rows, configure, fate, hand_in, make_case

ROWS = pytest.mark.parametrize("bypass", BYPASSES, ids=[bypass.what for bypass in BYPASSES])


@dataclass
class Played:
    """A site as it was found, and as it was left."""

    before: dict[str, str]


def _once(function: Callable[[str], Played]) -> Callable[[str], Played]:
    """Remembers what the function returned for each argument; one for which it failed is not tried again."""
    results: dict[str, Played | None] = {}

    def remembered(argument: str) -> Played:
        if argument not in results:
            results[argument] = None
            results[argument] = function(argument)
        result = results[argument]
        assert result is not None, f"{argument}: could not be played, see the first failure"
        return result

    return remembered


@pytest.fixture(scope="module", name="played")
def _played(shared_lab: Lab, shared_forcetls: Forcetls):
    """Plays a site when its first bypass is asked for."""

    @_once
    def play(site: str) -> Played:
        shared_lab.reset("stock")
        shared_forcetls.reset()
        cases = [make_case(shared_lab, bypass) for bypass in BYPASSES if bypass.site == site]
        configure(shared_lab, cases)
        add_rows(shared_forcetls, cases)
        return Played(_round(shared_lab, shared_forcetls, cases))

    return play


def _round(lab: Lab, forcetls: Forcetls, cases: list[Case]) -> dict[str, str]:
    sent = hand_in(lab, forcetls, cases)
    return {case.bypass.what: fate(lab, case, submission) for case, submission in zip(cases, sent, strict=True)}


@ROWS
def test_the_way_round_a_row_is_real(shared_lab: Lab, played, bypass: Bypass):
    is_real = shared_lab.postfix.version >= bypass.since
    assert played(bypass.site).before[bypass.what] == (bypass.before if is_real else bypass.after)
