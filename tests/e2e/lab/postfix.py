"""A real Postfix instance with directories of its own, set up as Debian does it (chrooted services).

Nothing of the host's Postfix is used but its programs and /usr/share/postfix/master.cf.dist.
"""

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Callable

from .maillog import MailLog
from .message import Message
from .smtp_client import SmtpClient
from .waiting import wait_for

MASTER_CF = Path("/usr/share/postfix/master.cf.dist")
CHROOT_FILES = ("resolv.conf", "hosts", "nsswitch.conf", "services", "host.conf", "localtime")
CHROOT_LIBRARIES = ("libnss_*.so*", "libresolv*.so*", "libgcc_s*.so*")
LIBRARY_DIRECTORIES = ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib")
START_DEADLINE_S = 60
RELOAD_DEADLINE_S = 60
BANNER_TIMEOUT_S = 20
STATUS_DESCRIPTOR = "5"  # MASTER_STATUS_FD of master_proto.h
SMTP_PORT = 25
COOL_AGE_S = 10
QUEUE_DEADLINE_S = 60
_coolest: dict[Path, int] = {}


class PostfixError(RuntimeError):
    """A Postfix command failed; the text is what it printed."""


class Postfix:
    """One instance: <directory>/{etc,queue,data,maillog}. `namespace` gives the network in which it runs."""

    def __init__(self, directory: Path, parameters: dict[str, str], *, smtpd_address: str = "127.0.0.1",
                 smtpd_port: int = SMTP_PORT, namespace: Callable[[], AbstractContextManager] = nullcontext) -> None:
        self.etc, self.queue_directory, self.data = directory / "etc", directory / "queue", directory / "data"
        self.log = MailLog(directory / "maillog")
        self.smtpd_address, self.smtpd_port = smtpd_address, smtpd_port
        self._namespace = namespace
        self._remembered: dict[str, dict[str, str]] = {}
        for path in (self.etc, self.queue_directory, self.data):
            path.mkdir(parents=True)
        shutil.chown(self.data, "postfix", "postfix")
        (self.etc / "main.cf").write_text(self._stock_main_cf(directory), encoding="utf-8")
        shutil.copy(MASTER_CF, self.etc / "master.cf")
        self.set(**parameters)
        if smtpd_port != SMTP_PORT:
            self.remove_service("smtp", "inet")
            self.set_service(f"{smtpd_address}:{smtpd_port} inet n - y - - smtpd")
        self._fill_chroot()

    def _stock_main_cf(self, directory: Path) -> str:
        """What Debian's package writes, and the paths of this instance."""
        return "\n".join([
            "compatibility_level = 3.6", "smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)", "biff = no",
            "append_dot_mydomain = no", "readme_directory = no", "recipient_delimiter = +",
            "smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination",
            "smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache",
            f"queue_directory = {self.queue_directory}", f"data_directory = {self.data}",
            f"maillog_file = {self.log.path}", f"maillog_file_prefixes = {directory}", ""])

    def _fill_chroot(self) -> None:
        """The files that chrooted services need, as Debian's configure-instance.sh copies them."""
        etc = self.queue_directory / "etc"
        etc.mkdir()
        for name in CHROOT_FILES:
            if Path("/etc", name).is_file():
                shutil.copy(Path("/etc", name), etc / name)
                (etc / name).chmod(0o644)
        for library in {file for where in LIBRARY_DIRECTORIES for pattern in CHROOT_LIBRARIES
                        for file in Path(where).glob(pattern)}:
            target = self.queue_directory / library.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)

    # -- running -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts it and waits until smtpd answers."""
        since = self.log.mark()
        with self._namespace():
            self._run("postfix", "-c", str(self.etc), "start")
        self.log.wait_for_line(r"/master\[\d+\]: daemon started", since, START_DEADLINE_S)
        self.wait_until_smtpd_answers()

    def wait_until_smtpd_answers(self) -> None:
        """Until a 220 banner comes."""

        def answers() -> bool:
            try:
                with self._namespace(), SmtpClient(
                        self.smtpd_address, self.smtpd_port, timeout_s=BANNER_TIMEOUT_S) as client:
                    return client.banner.code == 220
            except OSError:
                return False

        wait_for(answers, START_DEADLINE_S, f"smtpd on {self.smtpd_address}", self.log.tail)

    def stop(self) -> None:
        """Stops it, if it runs."""
        subprocess.run(["postfix", "-c", str(self.etc), "stop"], capture_output=True, check=False)

    def kill(self) -> None:
        """Kills the master process at once, as a crash would."""
        os.kill(int((self.queue_directory / "pid" / "master.pid").read_text("ascii")), signal.SIGKILL)

    def reload(self, *, smtpd_answers: bool = True) -> None:
        """Reads the configuration again; returns when no process goes by the old one any more.

        `smtpd_answers`: waits for its banner, too (with a milter that cannot be reached, 3.10 answers 421).
        """
        before = self.mark_before_reload()
        with self._namespace():  # postfix(1) looks for the addresses of inet_interfaces.
            self._run("postfix", "-c", str(self.etc), "reload")
        self.wait_for_reload(before, smtpd_answers=smtpd_answers)

    def mark_before_reload(self) -> tuple[int, set[int]]:
        """What wait_for_reload() wants to know."""
        return self.log.mark(), set(self._processes())

    def wait_for_reload(self, before: tuple[int, set[int]], *, smtpd_answers: bool = True) -> None:
        """As reload(), for a reload that somebody else asks for."""
        since, old = before
        self.log.wait_for_line(r"/master\[\d+\]: reload -- version", since)

        def all_are_new() -> bool:
            processes = self._processes()
            return bool(processes) and not old & set(processes) and all(processes.values())

        # master(8) says so before it does it, and an idle process, such as cleanup, may take one more message.
        wait_for(all_are_new, RELOAD_DEADLINE_S, "the processes from before the reload to end",
                 lambda: f"at the start: {old}, now: {self._processes()}\n{self.log.tail()}")
        if smtpd_answers:
            self.wait_until_smtpd_answers()

    def _processes(self) -> dict[int, bool]:
        """The process ids of master(8)'s children, each with whether it is of the configuration that master now has.

        For each service master holds the other end of its children's descriptor 5, to hear who is busy; a reload
        closes that.
        """
        master = (self.queue_directory / "pid" / "master.pid").read_text("ascii").strip()
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                parent = (process / "stat").read_text("utf-8").rpartition(")")[2].split()[1]
                if parent == master:
                    found[int(process.name)] = (process / "fd" / STATUS_DESCRIPTOR).readlink()
            except OSError:  # It has just ended, or is no service yet.
                continue
        known = _open_files(Path("/proc", master))
        return {process: status in known for process, status in found.items()}

    # -- configuration -----------------------------------------------------------------------------------------------

    def set(self, **parameters: str) -> None:
        """Sets main.cf parameters (no reload)."""
        if parameters:
            self._postconf("-e", *(f"{name}={value}" for name, value in parameters.items()))

    def unset(self, *names: str) -> None:
        """Removes parameters from main.cf (no reload)."""
        if names:
            self._postconf("-X", *names)

    def get(self, name: str) -> str:
        """The value in force of one parameter."""
        return self._postconf("-h", "-x", name).strip()

    @property
    def version(self) -> tuple[int, int]:
        """The release of the programs, as in (3, 10)."""
        major, minor = re.match(r"(\d+)\.(\d+)", self._postconf("-d", "-h", "mail_version")).groups()
        return int(major), int(minor)

    @property
    def obeys_tls_required_no(self) -> bool:
        """True if a header TLS-Required: no drops every TLS policy for its message (unless tls_required_enable=no)."""
        return self.version >= (3, 10)

    def set_service(self, entry: str) -> None:
        """Adds or replaces a master.cf entry, written as in master.cf: "forcetls unix - - y - - smtp -o a=b"."""
        fields = entry.split(None, 7)
        self._postconf("-M", f"{fields[0]}/{fields[1]}={entry}")

    def remove_service(self, name: str, service_type: str) -> None:
        """Removes a master.cf entry."""
        self._postconf("-MX", f"{name}/{service_type}")

    def set_service_option(self, service: str, parameter: str, value: str) -> None:
        """Sets one -o option of a master.cf entry named as "smtp/inet"."""
        self._postconf("-P", f"{service}/{parameter}={value}")

    def apply_main_cf(self, snippet: str) -> None:
        """Puts every `name = value` of the snippet into main.cf, as an administrator would (no reload)."""
        self.set(**read_main_cf(snippet))

    def table(self, name: str, entries: dict[str, str], kind: str = "texthash") -> str:
        """Writes a lookup table and returns its name as main.cf wants it: "texthash:/…/name". Old content goes."""
        path = self.etc / name
        path.write_text("".join(f"{key} {value}\n" for key, value in entries.items()), encoding="utf-8")
        _cool(path)
        if kind not in ("texthash", "regexp", "pcre", "cidr"):
            self._run("postmap", "-c", str(self.etc), f"{kind}:{path}")
        return f"{kind}:{path}"

    def query(self, table: str, key: str) -> str:
        """What postmap -q answers; run in the queue directory, where relative socket paths begin."""
        command = ["postmap", "-c", str(self.etc), "-q", key, table]
        result = subprocess.run(command, capture_output=True, text=True, cwd=self.queue_directory, check=False)
        return result.stdout.rstrip("\n") if result.returncode == 0 else result.stderr

    def set_aliases(self, aliases: dict[str, str]) -> None:
        """Makes these the local aliases (alias_maps), as newaliases(1) would; in force at once."""
        path = self.etc / "aliases"
        path.write_text("".join(f"{name}: {target}\n" for name, target in aliases.items()), encoding="utf-8")
        self._run("postalias", "-c", str(self.etc), f"hash:{path}")

    def cool_configuration(self) -> None:
        """Lets no daemon wait because main.cf or master.cf is new."""
        _cool(self.etc / "main.cf")
        _cool(self.etc / "master.cf")

    def remember_configuration(self, state: str = "stock") -> None:
        """The present main.cf and master.cf are what restore_configuration() of that name goes back to."""
        self._remembered[state] = {name: (self.etc / name).read_text("utf-8") for name in ("main.cf", "master.cf")}

    def restore_configuration(self, state: str = "stock") -> bool:
        """Undoes all changes, with a reload if there were any (in the files; then returns True)."""
        changed = False
        for name, text in self._remembered[state].items():
            if (self.etc / name).read_text("utf-8") != text:
                (self.etc / name).write_text(text, encoding="utf-8")
                _cool(self.etc / name)
                changed = True
        if changed:
            self.reload()
        return changed

    # -- queue and mail ----------------------------------------------------------------------------------------------

    def queue(self) -> list[dict]:
        """What is in the queue, as postqueue -j tells it."""
        return [json.loads(line) for line in self._run("postqueue", "-c", str(self.etc), "-j").splitlines()]

    def flush(self) -> None:
        """Tries all mail again that waits, now, once nothing is on its way any more: that would be left out."""
        self.wait_until_nothing_is_active()
        self._run("postqueue", "-c", str(self.etc), "-f")

    def retry(self, queue_id: str) -> None:
        """Tries one message again, once nothing of it is on its way any more (the log is a little ahead of that)."""
        self._wait_until_deferred(queue_id)
        self._run("postqueue", "-c", str(self.etc), "-i", queue_id)

    def expire(self, queue_id: str) -> None:
        """Tries one deferred message a last time, now: as if maximal_queue_lifetime had passed for it alone."""
        self._wait_until_deferred(queue_id)
        self._run("postsuper", "-c", str(self.etc), "-e", queue_id)
        self.retry(queue_id)

    def _wait_until_deferred(self, queue_id: str) -> None:
        wait_for(lambda: {message["queue_name"] for message in self.queue() if message["queue_id"] == queue_id}
                 in ({"deferred"}, {"hold"}), QUEUE_DEADLINE_S, f"{queue_id} to be deferred", self.log.tail)

    def wait_until_nothing_is_active(self) -> None:
        """Until all that is in the queue is deferred, and can be tried again (the log is a little ahead of that)."""
        wait_for(lambda: {message["queue_name"] for message in self.queue()} <= {"deferred", "hold"}, QUEUE_DEADLINE_S,
                 "the queue to come to rest", self.log.tail)

    def delete_all(self) -> None:
        """Empties the queue."""
        self._run("postsuper", "-c", str(self.etc), "-d", "ALL")

    def sendmail(self, sender: str, recipients: list[str], message: Message, *, user: str = "root",
                 options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
        """Hands in a message by sendmail(1), as that user; returns exit status and stderr."""
        account = pwd.getpwnam(user)
        command = ["setpriv", "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups",
                   "sendmail", "-C", str(self.etc), "-i", "-f", sender, *options, "--", *recipients]
        return subprocess.run(command, input=message.data, capture_output=True, cwd="/", check=False)

    def _postconf(self, *arguments: str) -> str:
        printed = self._run("postconf", "-c", str(self.etc), *arguments)
        self.cool_configuration()
        return printed

    def _run(self, *command: str) -> str:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if result.returncode != 0:
            raise PostfixError(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout


def _cool(path: Path) -> None:
    """Dates a file back. Postfix waits up to 2 s before it reads one that is newer (dict_load_file: "cool down").

    Each content gets a date of its own: daemons notice a changed table by its date.
    """
    if not path.exists():
        return
    status = path.stat()
    if status.st_mtime > time.time() - COOL_AGE_S + 1:
        _coolest[path] = max(int(time.time()) - COOL_AGE_S, _coolest.get(path, 0) + 1)
        os.utime(path, (_coolest[path], _coolest[path]))


def read_main_cf(text: str) -> dict[str, str]:
    """The parameters in main.cf lines: comments and empty lines skipped, continuation lines joined."""
    logical: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and logical:
            logical[-1] += " " + line.strip()
        else:
            logical.append(line)
    pairs = (line.split("=", 1) for line in logical)
    return {name.strip(): value.strip() for name, value in pairs}


def _open_files(process: Path) -> set[Path]:
    """What a process has open, as proc(5) names it."""
    names = set()
    for link in (process / "fd").iterdir():
        try:
            names.add(link.readlink())
        except OSError:  # just closed
            continue
    return names
