"""The one way in which the lab waits: for a condition, with a deadline and a name."""

import time
from typing import Callable, TypeVar

Value = TypeVar("Value")
POLL_S = 0.01


class LabTimeout(AssertionError):
    """Something that should have happened did not happen in time."""


def wait_for(condition: Callable[[], Value], deadline_s: float, what: str,
             details: Callable[[], str] = lambda: "") -> Value:
    """Calls condition until it returns something true, and returns that.

    Raises LabTimeout naming `what`, with details() appended, when deadline_s seconds have passed without it.
    """
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            more = details()
            raise LabTimeout(f"waited {deadline_s:g} s in vain for {what}" + (f"\n{more}" if more else ""))
        time.sleep(POLL_S)
