"""A private copy of /etc for the run: lab resolver, lab users, no Postfix configuration of the host.

Mounted over /etc inside the run's own mount namespace, so the host never sees it.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import network


@dataclass(frozen=True)
class LabUser:
    """A user that exists only inside the run."""

    name: str
    uid: int


DAEMON_USER = LabUser("forcetls-lab", 64001)
ALICE = LabUser("alice", 64010)
BOB = LabUser("bob", 64011)
USERS = (DAEMON_USER, ALICE, BOB)
CA_STORE = Path("/etc/ssl/certs/ca-certificates.crt")


def install(run_directory: Path) -> None:
    """Copies /etc into the run, adapts the copy, and mounts it over /etc."""
    etc = run_directory / "etc"
    subprocess.run(["cp", "-a", "/etc/.", str(etc)], check=True)
    _replace(etc / "resolv.conf", f"nameserver {network.DNS_ADDRESS}\noptions trust-ad timeout:2 attempts:2\n")
    _replace(etc / "hosts", "127.0.0.1 localhost\n::1 localhost\n")
    _replace(etc / "nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n")
    _replace(etc / "mailname", "ours.example\n")
    homes = run_directory / "home"
    homes.mkdir()
    for user in USERS:
        _append(etc / "passwd", f"{user.name}:x:{user.uid}:{user.uid}::{homes / user.name}:/bin/sh\n")
        _append(etc / "group", f"{user.name}:x:{user.uid}:\n")
        (homes / user.name).mkdir()
        os.chown(homes / user.name, user.uid, user.uid)
    shutil.rmtree(etc / "postfix" / "sasl", ignore_errors=True)
    (etc / "postfix").mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", str(etc), "/etc"], check=True)


def trust(ca_file: Path) -> None:
    """Adds an authority to the run's own CA store, where Debian keeps it."""
    CA_STORE.parent.mkdir(parents=True, exist_ok=True)
    with CA_STORE.open("ab") as store:
        store.write(ca_file.read_bytes())


def allow_postfix_directories(*directories: Path) -> None:
    """Makes the lab's Postfix instances known, so that unprivileged users may name them to sendmail(1)."""
    listed = ", ".join(str(directory) for directory in directories)
    Path("/etc/postfix/main.cf").write_text(
        f"compatibility_level = 3.6\nalternate_config_directories = {listed}\n", encoding="ascii")


def home_of(user: LabUser) -> Path:
    """The home directory of a lab user (for .forward files and Maildir)."""
    return Path(os.environ["FORCETLS_LAB_DIRECTORY"], "home", user.name)


def _replace(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text, encoding="ascii")


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="ascii") as file:
        file.write(text)
