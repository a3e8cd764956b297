"""Sendmail sites for the tests, what becomes of mail there, and the commands `forcetls doctor` and `forcetls setup`."""

import contextlib
import itertools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.host_files import CA_STORE
from lab.lab import Lab
from lab.message import Message, compose
from lab.sendmail import Sendmail, is_unpacked

NEEDS_SENDMAIL = pytest.mark.skipif(not is_unpacked() and "CI" not in os.environ,
                                    reason="no Sendmail here: tests/unpack-sendmail gets it")
_numbers = itertools.count(1)


def our_lines(forcetls: Forcetls) -> str:
    """What sendmail.mc needs in front of the mailers, beside what the lab's has anyway."""
    return (f"INPUT_MAIL_FILTER(`forcetls', `S={forcetls.milter_address}, F=T, T=S:4m;R:4m;E:10m')dnl\n"
            "define(`confPRIVACY_FLAGS', `authwarnings,nobodyreturn')dnl\n")


def start_site(lab: Lab, forcetls: Forcetls, features: str = "", **changes: object) -> Sendmail:
    """A Sendmail with all of our lines, then `features`, then the changes that Sendmail() takes."""
    address = changes.pop("map_address", forcetls.map_address)
    directory = lab.directory / f"sendmail-site-{next(_numbers)}"
    return Sendmail(directory, CA_STORE, address, our_lines(forcetls) + features, **changes)


def fate(lab: Lab, sendmail: Sendmail, partner: Partner, message: Message, said: str = "") -> str:
    """What became of a message: TLSv1.3 or the like, CLEAR, why it waits, or GONE and what Sendmail said of it."""
    received = partner.received(message.token)
    assert len(received) <= 1
    if received:
        assert not sendmail.waiting(partner.address())
    if received and received[0].in_clear:
        return "CLEAR"
    lab.assert_never_in_clear(message.token)
    return received[0].tls_version if received else sendmail.waiting(partner.address()) or f"GONE: {said}"


def attempt(lab: Lab, sendmail: Sendmail, partner: Partner) -> tuple[Message, str]:
    """Hands in a message to the partner, which makes the first attempt; the message, and what became of it."""
    message = compose()
    said = sendmail.send(message, partner.address())
    return message, fate(lab, sendmail, partner, message, said)


def fate_of_mail(lab: Lab, sendmail: Sendmail, partner: Partner) -> str:
    """What becomes of a message to the partner."""
    return attempt(lab, sendmail, partner)[1]


def make_bare(sendmail: Sendmail) -> None:
    """Takes all of our lines out of sendmail.mc again."""
    file = sendmail.etc / "sendmail.mc"
    ours = re.compile(r"confCACERT|QUEUE_GROUP|INPUT_MAIL|PRIVACY|_FORCETLS_SOCKET_|forcetls\.m4")
    file.write_text("".join(line for line in file.read_text("ascii").splitlines(True) if not ours.search(line)),
                    encoding="ascii")
    sendmail.make()


@contextlib.contextmanager
def search_list(domain: str) -> Iterator[None]:
    """While it lasts, the resolver completes names with `domain`, as it does where the host's own name is qualified."""
    file = Path("/etc/resolv.conf")
    before = file.read_text("ascii")
    file.write_text(f"search {domain}\n{before}", encoding="ascii")
    try:
        yield
    finally:
        file.write_text(before, encoding="ascii")


def _command(forcetls: Forcetls, sendmail: Sendmail, name: str, *arguments: str,
             program: Path | None = None) -> subprocess.CompletedProcess:
    config = sendmail.etc / "forcetls.conf"
    config.write_text(f"policy_db = {forcetls.policy_db}\nlisten_map = {forcetls.map_address}\n"
                      f"listen_milter = {forcetls.milter_address}\n", encoding="utf-8")
    command = [str(forcetls.program("forcetls")), name, "--mta", "sendmail", "--config", str(config), "--mc",
               str(sendmail.etc / "sendmail.mc"), "--sendmail", str(program or sendmail.program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=sendmail.environment)


def doctor(forcetls: Forcetls, sendmail: Sendmail, program: Path | None = None) -> tuple[int, list[dict[str, str]]]:
    """What `forcetls doctor --mta sendmail` finds: exit status and findings; of another program, if one is given."""
    result = _command(forcetls, sendmail, "doctor", "--json", program=program)
    assert result.returncode in (0, 1, 2), result.stderr
    report = json.loads(result.stdout)
    assert program or report["sendmail"] == sendmail.version
    return result.returncode, report["findings"]


def set_up(forcetls: Forcetls, sendmail: Sendmail, *arguments: str) -> subprocess.CompletedProcess:
    """Runs `forcetls setup --mta sendmail`."""
    return _command(forcetls, sendmail, "setup", *arguments)
