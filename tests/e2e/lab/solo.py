"""Programs of forcetls without Postfix: a place with a policy of its own, for tests of sockets, flags and signals."""

import grp
import itertools
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from . import isolate
from .forcetls import Daemon, find_program
from .host_files import DAEMON_USER
from .protocol import SocketmapClient
from .waiting import wait_for

READY_DEADLINE_S = 20
RUN_TIMEOUT_S = 20
FIRST_INHERITED = 3
# Descriptors in argv[1] become 3, 4, ...; then it is the program, with LISTEN_PID as systemd sets it.
_ACTIVATE = """
import os, sys
for place, descriptor in enumerate(sys.argv[1].split(","), start=3):
    os.dup2(int(descriptor), place)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""
_numbers = itertools.count(1)


class Place:
    """A directory with policy.db, owned by root, and one for sockets, owned by the daemons' user."""

    def __init__(self) -> None:
        self.directory = isolate.run_directory() / f"solo-{next(_numbers)}"
        self.directory.mkdir(mode=0o755)
        self.policy_db = self.directory / "policy" / "policy.db"
        self.policy_db.parent.mkdir(mode=0o755)
        self.sockets = self.directory / "run"
        self.sockets.mkdir(mode=0o755)
        os.chown(self.sockets, DAEMON_USER.uid, grp.getgrnam("postfix").gr_gid)
        self._daemons: list[Daemon] = []

    def program(self, name: str) -> Path:
        """The program, where the unprivileged user can run it."""
        copy = self.directory / name
        if not copy.exists():
            built = find_program(name)
            assert built is not None, f"{name} is not built (set FORCETLS_BUILD)"
            shutil.copy(built, copy)
            copy.chmod(0o755)
        return copy

    def init(self, *statements: str) -> None:
        """An empty policy.db, and SQL on it."""
        result = self.run("forcetls", "init", "--policy-db", str(self.policy_db))
        assert result.returncode == 0, result.stderr
        self.policy_db.chmod(0o644)
        for sql in statements:
            status, errors = self.sql(sql)
            assert status == 0, errors

    def sql(self, sql: str, *options: str) -> tuple[int, str]:
        """SQL in the stock shell: (exit status, what it printed on stdout or stderr)."""
        result = subprocess.run(["sqlite3", *options, str(self.policy_db), sql], capture_output=True, text=True,
                                errors="replace", check=False)
        return result.returncode, result.stderr or result.stdout

    def run(self, name: str, *arguments: str, timeout_s: float = RUN_TIMEOUT_S) -> subprocess.CompletedProcess:
        """Runs a program to its end, as root."""
        return subprocess.run([str(self.program(name)), *arguments], capture_output=True, text=True, check=False,
                              errors="replace", timeout=timeout_s, stdin=subprocess.DEVNULL)

    def address(self, name: str) -> str:
        """A unix address in the sockets' directory."""
        return f"unix:{self.sockets / name}"

    def daemon(self, name: str, *arguments: str, environment: dict[str, str] | None = None,
               under: tuple[str, ...] = ()) -> Daemon:
        """A daemon with these flags; --policy-db and --foreground are added. Not started yet.

        `under` is a command that runs it: prlimit(1) with its flags, say.
        """
        prefix = [*under, "env", *(f"{key}={value}" for key, value in (environment or {}).items())]
        log = self.directory / f"{name}-{len(self._daemons)}.log"
        daemon = Daemon(name, [*prefix, str(self.program(name)), "--policy-db", str(self.policy_db), "--foreground",
                               *arguments], log)
        self._daemons.append(daemon)
        return daemon

    def policyd(self, *arguments: str, environment: dict[str, str] | None = None) -> Daemon:
        """A started policyd on map.sock and policy.sock, answering."""
        daemon = self.daemon("forcetls-policyd", "--listen-map", self.address("map.sock"), "--listen-policy",
                             self.address("policy.sock"), *arguments, environment=environment)
        daemon.start()
        self.wait_until_it_answers(daemon)
        return daemon

    def wait_until_it_answers(self, daemon: Daemon, address: str | None = None) -> None:
        """Until a lookup is answered (also by TEMP)."""

        def answers() -> bool:
            daemon.check_running()
            try:
                return bool(self.lookup("x.invalid", address=address))
            except OSError:
                return False

        wait_for(answers, READY_DEADLINE_S, f"{daemon.name} to answer", daemon.output)

    def lookup(self, key: str | bytes, map_name: str = "tls", address: str | None = None) -> str:
        """One socketmap lookup on a connection of its own."""
        with SocketmapClient(address or self.address("map.sock")) as client:
            return client.lookup(map_name, key)

    def start_with_sockets(self, name: str, sockets: list[socket.socket], names: str | None,
                           log: Path) -> subprocess.Popen:
        """Starts a daemon with inherited listening sockets, as systemd does, as the unprivileged user."""
        environment = {**os.environ, "LISTEN_FDS": str(len(sockets))}
        environment |= {"LISTEN_FDNAMES": names} if names is not None else {}
        unprivileged = ["setpriv", "--reuid", str(DAEMON_USER.uid), "--regid", str(DAEMON_USER.uid), "--clear-groups"]
        # Copies above those places that they will take, so that no one overwrites another.
        copies = [os.dup(listener.fileno()) for listener in sockets]
        assert min(copies) >= FIRST_INHERITED + len(copies)
        try:
            with log.open("ab") as output:
                return subprocess.Popen(
                    [*unprivileged, sys.executable, "-c", _ACTIVATE, ",".join(map(str, copies)),
                     str(self.program(name)), "--policy-db", str(self.policy_db), "--foreground"],
                    env=environment, pass_fds=copies, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        finally:
            for copy in copies:
                os.close(copy)

    def close(self) -> None:
        """Ends all daemons."""
        for daemon in self._daemons:
            daemon.stop()
