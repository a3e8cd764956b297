"""Writes what `forcetls setup --mta sendmail` printed into sendmail.mc and submit.mc, as an administrator does.

As a program (python3 -m lab.sendmail_lines) it reads that from standard input.
"""

import os
import re
import sys
from pathlib import Path

from .sendmail import M4_SNIPPET


def write_lines(printed: str) -> None:
    """Does what an administrator does with what setup printed: puts each line where it says."""
    path, place = None, ""
    for line in printed.splitlines():
        if heading := re.fullmatch(r"(/\S+\.mc), (.*):", line):
            path, place = Path(heading[1]), heading[2]
        elif line == "As root:":
            path = None
        elif line.startswith("  ") and not line.startswith("   "):
            _write_line(path, place, line.strip())


def _write_line(path: Path | None, place: str, line: str) -> None:
    if path is None:
        target = Path(re.fullmatch(r"install -m 0644 \S+ (\S+)", line)[1])
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(M4_SNIPPET.read_bytes())
        os.chmod(target, 0o644)
        return
    text = path.read_text("ascii")
    if place in ("at the end, behind the MAILER() lines", "behind the line with FEATURE(`msp'"):
        text += f"{line}\n"
    else:
        mark = {"before MAILER_DEFINITIONS": "MAILER_DEFINITIONS",
                "before the line with FEATURE(`nullclient'": "FEATURE(`nullclient'",
                "before the line with FEATURE(`msp'": "FEATURE(`msp'"}
        text = text.replace(mark[place], f"{line}\n{mark[place]}", 1)
    path.write_text(text, encoding="ascii")


if __name__ == "__main__":
    write_lines(sys.stdin.read())
