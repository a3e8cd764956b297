"""forcetls on the lab's mail host: the daemons as an unprivileged user, the policy owned by root, as installed.

Binaries come from the build directory that FORCETLS_BUILD names (default: build/dev of this checkout).
"""

import grp
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Callable

from .host_files import DAEMON_USER
from .postfix import Postfix
from .protocol import SocketmapClient
from .waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[3]
MAIN_CF_SNIPPET = REPOSITORY / "packaging" / "postfix" / "main.cf.forcetls"
SINCE_3_10 = "# tls_required_enable = no\n"  # a comment there, because older releases warn of it
PROGRAMS = ("forcetls", "forcetls-policyd", "forcetls-milter")
READY_DEADLINE_S = 30
STOP_DEADLINE_S = 30
IN_FORCE_DEADLINE_S = 20
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


class ForcetlsError(AssertionError):
    """A program of forcetls did not do what the lab needs; the text is what it printed."""


def build_directory() -> Path:
    """Where the programs were built."""
    return Path(os.environ.get("FORCETLS_BUILD", REPOSITORY / "build" / "dev")).resolve()


def find_program(name: str) -> Path | None:
    """The built program, or None."""
    found = [path for pattern in (name, f"*/{name}") for path in build_directory().glob(pattern) if path.is_file()]
    return found[0] if found else None


def _must(result: subprocess.CompletedProcess, what: str) -> subprocess.CompletedProcess:
    if result.returncode != 0:
        raise ForcetlsError(f"{what}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result


class Daemon:
    """One daemon: started as the unprivileged user, its stderr in a file."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name, self.log = name, log
        self._command = command
        self._process: subprocess.Popen | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, instead: dict[str, str] | None = None) -> None:
        """Starts it, with other arguments for some of its own; does not wait until it is ready."""
        command = [(instead or {}).get(argument, argument) for argument in self._command]
        group = grp.getgrnam("postfix").gr_gid
        unprivileged = ["setpriv", "--reuid", str(DAEMON_USER.uid), "--regid", str(group), "--clear-groups",
                        "--no-new-privs"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*unprivileged, *command], stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, cwd="/", umask=0o007)

    def signal(self, number: int) -> None:
        """Sends a signal (SIGSTOP and SIGCONT make it hang and go on)."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kills it at once, as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """SIGTERM, waits, checks that no sanitizer complained; returns the exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        try:
            status = self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise ForcetlsError(f"{self.name} did not stop within {STOP_DEADLINE_S} s of SIGTERM") from late
        finally:
            self._process = None
        self.check_sanitizers()
        return status

    def runs_unprivileged(self) -> bool:
        """True if the kernel says that it has no root rights: no uid 0, no capabilities."""
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines())
        return "0" not in status["Uid"].split() and int(status["CapEff"], 16) == 0

    def check_running(self) -> None:
        """Fails, with its output, if it has ended."""
        if self._process is None or self._process.poll() is not None:
            raise ForcetlsError(f"{self.name} is not running:\n{self.output()[-4000:]}")

    def check_sanitizers(self) -> None:
        """Fails if a sanitizer wrote a report."""
        output = self.output()
        if any(mark in output for mark in SANITIZER_MARKS):
            raise ForcetlsError(f"{self.name}: a sanitizer complained:\n{output[-8000:]}")

    def output(self) -> str:
        """All that it printed so far."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""


class Forcetls:
    """policy.db, the daemons and the administrator's commands, beside one Postfix instance."""

    def __init__(self, directory: Path, postfix: Postfix) -> None:
        self.postfix = postfix
        self._programs = directory / "bin"
        self._programs.mkdir(parents=True)
        directory.chmod(0o755)
        for name in PROGRAMS:
            built = find_program(name)
            if built is None:
                raise ForcetlsError(f"no {name} in {build_directory()}: build it, or set FORCETLS_BUILD")
            shutil.copy(built, self._programs / name)
            (self._programs / name).chmod(0o755)
        self.policy_db = directory / "policy" / "policy.db"
        self.policy_db.parent.mkdir(mode=0o755)
        self.sockets = postfix.queue_directory / "forcetls"
        self.sockets.mkdir()
        os.chown(self.sockets, DAEMON_USER.uid, grp.getgrnam("postfix").gr_gid)
        self.sockets.chmod(0o2750)
        self.map_address, self.policy_address, self.milter_address = (
            f"unix:{self.sockets / name}.sock" for name in ("map", "policy", "milter"))
        database = ["--policy-db", str(self.policy_db)]
        self.policyd = Daemon("forcetls-policyd", [
            str(self._programs / "forcetls-policyd"), *database, "--listen-policy", self.policy_address,
            "--listen-map", self.map_address, "--foreground"], directory / "policyd.log")
        self.milter = Daemon("forcetls-milter", [
            str(self._programs / "forcetls-milter"), *database, "--listen", self.milter_address, "--foreground"],
            directory / "milter.log")
        self.daemons = (self.policyd, self.milter)
        self._settings: dict[str, str] = {}

    def init(self) -> None:
        """Makes an empty policy.db, readable by all, writable by root."""
        result = self.ctl("init", "--policy-db", str(self.policy_db))
        if result.returncode != 0:
            raise ForcetlsError(f"forcetls init: exit {result.returncode}\n{result.stdout}{result.stderr}")
        self.policy_db.chmod(0o644)
        self._settings = self._read_settings()

    def reset(self) -> None:
        """Between tests: daemons up, every setting at its first value. Rows stay: domains are never used twice."""
        if self.policyd.pid is None:
            self.start_policyd()
        if self.milter.pid is None:
            self.start_milter()
        for name, value in self._read_settings().items():
            if value != self._settings[name]:
                self.set_policy(f"UPDATE setting SET value = {self._settings[name]} WHERE name = '{name}'")

    def program(self, name: str) -> Path:
        """One of our programs, where every user can run it."""
        return self._programs / name

    def ctl(self, *arguments: str, user_input: str | None = None) -> subprocess.CompletedProcess:
        """Runs the administrator's command `forcetls`, as root; exit status, stdout and stderr."""
        return subprocess.run([str(self._programs / "forcetls"), *arguments], input=user_input, capture_output=True,
                              text=True, errors="replace", check=False)

    def setup(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs `forcetls setup` on the instance; if it changed the configuration, waits for Postfix's reload."""
        return self._awaiting_reload(lambda: self.ctl(
            "setup", "--config-dir", str(self.postfix.etc), "--policy-db", str(self.policy_db), *arguments))

    def set_up(self, *arguments: str) -> str:
        """As setup(), for what must succeed; returns what it printed."""
        return _must(self.setup(*arguments), "forcetls setup").stdout

    def doctor(self, *arguments: str) -> tuple[int, list[dict]]:
        """What `forcetls doctor` finds in the lab's Postfix: exit status and findings."""
        result = self.ctl("doctor", "--json", "--policy-db", str(self.policy_db), "--config-dir",
                          str(self.postfix.etc), *arguments)
        if result.returncode not in (0, 1, 2):
            raise ForcetlsError(f"forcetls doctor: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result.returncode, json.loads(result.stdout)["findings"]

    def run_as_administrator(self, command: str) -> None:
        """Runs a command line as it is printed, as root, with our programs on the PATH; it must succeed."""
        environment = {**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}"}
        _must(self._awaiting_reload(lambda: subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, errors="replace", check=False, env=environment)),
            command)

    def _awaiting_reload(self, run: Callable[[], subprocess.CompletedProcess]) -> subprocess.CompletedProcess:
        """Runs what may change the configuration; if it does, waits until Postfix has read it."""
        files = [self.postfix.etc / name for name in ("main.cf", "master.cf")]
        texts, before = [file.read_bytes() for file in files], self.postfix.mark_before_reload()
        result = run()
        written = [file.read_bytes() for file in files]
        if result.returncode == 0 and written != texts:
            self.postfix.wait_for_reload(before)
            if written[1] != texts[1]:  # Setup reloads for master.cf, then for main.cf: that may still be to come.
                self.postfix.reload()
        return result

    def policy(self, sql: str) -> tuple[int, str]:
        """Runs SQL on policy.db in the stock sqlite3 shell, as an administrator would: (exit status, stderr)."""
        result = subprocess.run(["sqlite3", str(self.policy_db), sql], capture_output=True, text=True, check=False)
        return result.returncode, result.stderr

    def query(self, sql: str) -> str:
        """What the stock sqlite3 shell prints for a SELECT."""
        result = subprocess.run(["sqlite3", str(self.policy_db), sql], capture_output=True, text=True, check=True)
        return result.stdout

    def set_policy(self, sql: str) -> None:
        """As policy(), for SQL that must be accepted."""
        status, errors = self.policy(sql)
        if status != 0:
            raise ForcetlsError(f"policy refused: {errors}\n{sql}")

    def add_row(self, domain: str, outbound: str, **columns: str | None) -> None:
        """Types a row of domain_policy into the sqlite3 shell, and waits until policyd answers by it."""
        values = {"domain": domain, "outbound": outbound, **columns}
        literals = ", ".join("NULL" if value is None else f"'{value}'" for value in values.values())
        self.set_policy(f"INSERT INTO domain_policy({', '.join(values)}) VALUES ({literals})")
        if columns.get("mode", "enforce") == "enforce":
            self.wait_for_answer("tls", f"some{domain}" if domain.startswith(".") else domain, f"OK {outbound}")

    def _read_settings(self) -> dict[str, str]:
        """name -> value as an SQL literal."""
        rows = self.query("SELECT name || char(9) || quote(value) FROM setting").splitlines()
        return dict(row.split("\t", 1) for row in rows)

    def wait_for_answer(
            self, map_name: str, key: str, start: str, deadline_s: float = IN_FORCE_DEADLINE_S) -> str:
        """Waits until a lookup's answer begins with `start`: a change of policy is in force."""

        def answered() -> str:
            answer = self.lookup(map_name, key)
            return answer if answer.startswith(start) else ""

        return wait_for(answered, deadline_s, f"{map_name} {key} to be answered {start}...",
                        lambda: f"now: {self.lookup(map_name, key)!r}")

    def start(self) -> None:
        """Starts both daemons and waits until they answer."""
        self.start_policyd()
        self.start_milter()

    def start_policyd(self, policy_db: Path | None = None) -> None:
        """Starts policyd, on this database, and waits until its socketmap answers."""
        self.policyd.start({str(self.policy_db): str(policy_db or self.policy_db)})
        wait_for(self._policyd_answers, READY_DEADLINE_S, "policyd to answer", self.policyd.output)

    def start_milter(self) -> None:
        """Starts the milter and waits until it accepts connections."""
        self.milter.start()
        wait_for(self._milter_accepts, READY_DEADLINE_S, "the milter to accept", self.milter.output)

    def stop(self) -> None:
        """Stops both daemons."""
        try:
            self.milter.stop()
        finally:
            self.policyd.stop()

    def lookup(self, map_name: str, key: str | bytes) -> str:
        """One socketmap lookup on a connection of its own."""
        with SocketmapClient(self.map_address) as client:
            return client.lookup(map_name, key)

    def main_cf_lines(self) -> str:
        """packaging/postfix/main.cf.forcetls, as an administrator of this Postfix would take it."""
        snippet = MAIN_CF_SNIPPET.read_text("utf-8")
        assert SINCE_3_10 in snippet
        if self.postfix.obeys_tls_required_no:
            snippet = snippet.replace(SINCE_3_10, SINCE_3_10.removeprefix("# "))
        return snippet

    def bolt_onto_postfix(self) -> None:
        """Puts those lines, and the tables they name, into the instance (no reload)."""
        snippet = self.main_cf_lines()
        for table in MAIN_CF_SNIPPET.parent.iterdir():
            if f"$config_directory/{table.name}" in snippet:
                shutil.copy(table, self.postfix.etc / table.name)
        self.postfix.apply_main_cf(snippet)

    def bolt_on_by_setup(self) -> None:
        """Has `forcetls setup --apply` do it; the settings that it records are the first values from now on."""
        self.set_up("--apply")
        if "nothing to change" not in self.set_up():
            raise ForcetlsError("forcetls setup finds more to change after --apply")
        self._settings = self._read_settings()

    def _policyd_answers(self) -> bool:
        self.policyd.check_running()
        try:
            self.lookup("tls", "x.invalid")
            return True
        except OSError:
            return False

    def _milter_accepts(self) -> bool:
        self.milter.check_running()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(self.milter_address.removeprefix("unix:"))
                return True
            except OSError:
                return False
