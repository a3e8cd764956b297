"""A real Sendmail with a queue and a configuration of its own, run from where tests/unpack-sendmail put it.

There is no daemon here (see sendmail_daemon.py): a message is handed in by sendmail(1), which also makes the first
attempt to deliver it, and a queue run makes the next. When either returns, each recipient was delivered, waits in the
queue, or is gone (bounced).
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Callable, Iterator, TextIO

from .message import Message

REPOSITORY = Path(__file__).resolve().parents[3]
UNPACKED = REPOSITORY / "build" / "sendmail" / "root"
M4_SNIPPET = REPOSITORY / "packaging" / "sendmail" / "forcetls.m4"
ABSOLUTE_CF = "/usr/share/sendmail/cf/"
ATTEMPT_TIMEOUT_S = 120
SUBMIT_USER = "nobody"  # what sendmail(1) becomes by submit.cf, which must not be root

# As Debian's sendmail.mc, without what needs a daemon or Debian's directories. The load of the machine keeps it from
# nothing: above a limit Sendmail would only queue mail, and run no queue.
_SITE = """divert(0)dnl
include(`{cf}/m4/cf.m4')dnl
OSTYPE(`debian')dnl
define(`confDOMAIN_NAME', `mail.ours.example')dnl
define(`confTRUSTED_USER', `root')dnl
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl
define(`QUEUE_DIR', `{queue}')dnl
define(`ALIAS_FILE', `{etc}/aliases')dnl
define(`confCW_FILE', `-o {etc}/local-host-names')dnl
define(`confCT_FILE', `-o {etc}/trusted-users')dnl
define(`confCR_FILE', `-o {etc}/relay-domains')dnl
define(`STATUS_FILE', `{etc}/statistics')dnl
define(`confDEAD_LETTER_DROP', `{etc}/dead.letter')dnl
undefine(`confHOST_STATUS_DIRECTORY')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confTO_CONNECT', `5s')dnl
define(`confTO_ICONNECT', `5s')dnl
define(`confTO_STARTTLS', `5s')dnl
define(`confTO_COMMAND', `10s')dnl
define(`confTO_INITIAL', `10s')dnl
define(`confTO_HELO', `10s')dnl
define(`confTO_QUIT', `5s')dnl
define(`confTO_IDENT', `0s')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confCACERT', `{authorities}')dnl
define(`confCACERT_PATH', `{authorities.parent}')dnl
define(`LOCAL_MAILER_PATH', `/bin/false')dnl
QUEUE_GROUP(`mqueue', `P={queue}, F=f, r=1')dnl
{features}
MAILER_DEFINITIONS
MAILER(`local')dnl
MAILER(`smtp')dnl
define(`_FORCETLS_SOCKET_', `{map_address}')dnl
{before_ours}include(`{snippet}')dnl
{behind_ours}"""

# As Debian's submit.mc.
_SUBMIT = """divert(0)dnl
define(`_USE_ETC_MAIL_')dnl
include(`{cf}/m4/cf.m4')dnl
OSTYPE(`debian')dnl
DOMAIN(`debian-msp')dnl
define(`confTRUSTED_USER', `root')dnl
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl
define(`confRUN_AS_USER', `{user}')dnl
define(`MSP_QUEUE_DIR', `{queue}')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {port}')dnl
define(`confQUEUE_LA', `1000')dnl
{features}FEATURE(`msp', `[{host}]')dnl
{behind}"""


class SendmailError(AssertionError):
    """Sendmail or m4 did not do what the lab needs; the text is what it printed."""


def is_unpacked() -> bool:
    """True if tests/unpack-sendmail was run."""
    return UNPACKED.is_dir()


class Sendmail:
    """One instance: <directory>/{etc,queue}, bolted onto the socketmap server at `map_address`.

    `features` are further lines of sendmail.mc, in front of the mailers; `before_ours` and `behind_ours` stand around
    the include of forcetls.m4; `edit` changes sendmail.cf as an administrator might who does so by hand.
    """

    def __init__(self, directory: Path, authorities: Path, map_address: str, features: str = "", *,
                 before_ours: str = "", behind_ours: str = "", edit: Callable[[str], str] = str) -> None:
        self.etc, self.queue_directory = directory / "etc", directory / "queue"
        self._libraries = [path for path in (UNPACKED / "lib", UNPACKED / "usr" / "lib") if path.is_dir()]
        self._cf = directory / "cf"
        for path in (self.etc, self.queue_directory):
            path.mkdir(parents=True)
        directory.chmod(0o755)
        self.queue_directory.chmod(0o700)
        # A copy without the set-group-id bit, which would make the loader ignore the unpacked libraries.
        self._program = directory / "sendmail"
        shutil.copyfile(UNPACKED / "usr" / "libexec" / "sendmail" / "sendmail", self._program)
        self._program.chmod(0o755)
        (self.etc / "aliases").write_text("", encoding="ascii")
        self._copy_macros()
        site = _SITE.format(cf=self._cf, etc=self.etc, queue=self.queue_directory, authorities=authorities,
                            features=features, map_address=map_address, snippet=M4_SNIPPET,
                            before_ours=before_ours, behind_ours=behind_ours)
        (self.etc / "sendmail.mc").write_text(site, encoding="ascii")
        self.make(edit)

    @property
    def program(self) -> Path:
        """sendmail(1), which runs with the environment that `environment` gives."""
        return self._program

    def make(self, edit: Callable[[str], str] = str) -> None:
        """Makes sendmail.cf of sendmail.mc again, as make -C /etc/mail does."""
        (self.etc / "sendmail.cf").write_text(edit(self._configuration("sendmail.mc")), encoding="utf-8")

    def make_submit(self, host: str, port: int = 25, features: str = "", behind: str = "") -> None:
        """Makes a submit.cf, by which sendmail(1) hands mail to `host`; the lines stand around FEATURE(`msp')."""
        queue = self.etc.parent / "clientqueue"
        queue.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(queue, SUBMIT_USER, "nogroup")
        (self.etc / "submit.mc").write_text(_SUBMIT.format(
            cf=self._cf, host=host, port=port, queue=queue, features=features, behind=behind, user=SUBMIT_USER),
            encoding="ascii")
        self.make_submit_again()

    def make_submit_again(self) -> None:
        """Makes submit.cf of submit.mc."""
        (self.etc / "submit.cf").write_text(self._configuration("submit.mc"), encoding="utf-8")

    def make_map(self, kind: str, source: Path) -> None:
        """Makes a database of a text file, as makemap(8) does."""
        program = UNPACKED / "usr" / "libexec" / "sendmail" / "makemap"
        subprocess.run([str(program), "-C", str(self.etc / "sendmail.cf"), kind, str(source)],
                       input=source.read_bytes(), check=True, env=self.environment)

    def submit(self, message: Message, recipient: str, sender: str = "alice@ours.example") -> str:
        """Hands a message in as submit.cf has it; what it printed."""
        command = [str(self._program), "-C", str(self.etc / "submit.cf"), "-i", "-odi", "-f", sender, recipient]
        result = subprocess.run(command, input=message.data, capture_output=True, check=False, cwd=self.etc,
                                env=self.environment, timeout=ATTEMPT_TIMEOUT_S)
        return (result.stdout + result.stderr).decode("utf-8", "replace")

    def _copy_macros(self) -> None:
        """Debian's macros name each other by absolute paths: a copy with ours."""
        shutil.copytree(UNPACKED / ABSOLUTE_CF.lstrip("/"), self._cf)
        for file in self._cf.rglob("*.m4"):
            text = file.read_text("latin-1")
            if ABSOLUTE_CF in text:
                file.write_text(text.replace(ABSOLUTE_CF, f"{self._cf}/"), encoding="latin-1")

    def _configuration(self, name: str) -> str:
        command = [UNPACKED / "usr" / "bin" / "m4", f"-D_CF_DIR_={self._cf}/", self.etc / name]
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)
        if result.returncode != 0 or result.stderr:
            raise SendmailError(f"m4: {result.stderr}")
        return result.stdout

    @property
    def environment(self) -> dict[str, str]:
        """That of a process that runs the unpacked programs."""
        found = [str(path) for parent in self._libraries for path in parent.glob("*-linux-gnu")]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(found)}

    def run(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess:
        """sendmail(1) with this sendmail.cf."""
        command = [str(self._program), "-C", str(self.etc / "sendmail.cf"), *arguments]
        return subprocess.run(command, input=data, capture_output=True, check=False, cwd=self.etc,
                              env=self.environment, timeout=ATTEMPT_TIMEOUT_S)

    @property
    def version(self) -> str:
        """The release, as in 8.17.1.9."""
        return re.search(r"Version (\S+)", self.run("-d0.1", "-bt", data=b"").stdout.decode()).group(1)

    def send(self, message: Message, *recipients: str, sender: str = "alice@ours.example") -> str:
        """Hands in a message and returns after the first attempt for a recipient; what it printed.

        Of several recipients each has a queue entry of its own, and some are left to the next retry().
        """
        result = self.run("-i", "-odi", "-oem", "-f", sender, *recipients, data=message.data)
        return (result.stdout + result.stderr).decode("utf-8", "replace")

    def speak(self, *commands: str) -> list[str]:
        """An SMTP session over pipes, with its input milters: the last line of each reply, without the greeting."""
        command = [str(self._program), "-C", str(self.etc / "sendmail.cf"), "-bs"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self.etc, text=True,
                              env=self.environment) as session:
            replies = [_last_line_of_reply(session.stdout)]
            for line in (*commands, "QUIT"):
                session.stdin.write(line + "\r\n")
                session.stdin.flush()
                replies.append(_last_line_of_reply(session.stdout))
        return replies[1:-1]

    def retry(self) -> str:
        """Tries everything in the queue once more."""
        result = self.run("-q", "-v")
        return (result.stdout + result.stderr).decode("utf-8", "replace")

    def waiting(self, recipient: str) -> str:
        """Why the recipient waits, as the queue tells it; "" if it does not wait."""
        for text in self._queue_entries():
            lines = text.splitlines()
            if any(re.fullmatch(rf"R[A-Z]*:<?{re.escape(recipient)}>?", line) for line in lines):
                return next((line[1:] for line in lines if line.startswith("M")), "no reason given")
        return ""

    def _queue_entries(self) -> Iterator[str]:
        """The texts of all entries; of a daemon's queue one may leave while the others are read."""
        for file in self.queue_directory.glob("qf*"):
            with contextlib.suppress(FileNotFoundError):
                yield file.read_text("latin-1")

    def mailq(self) -> str:
        """What mailq(1) prints of the queue: who waits, and why."""
        return self.run("-bp").stdout.decode("utf-8", "replace")

    def empty_queue(self) -> None:
        """Forgets all waiting mail."""
        for file in self.queue_directory.iterdir():
            file.unlink()


class Inetd:
    """Hands each connection to a port of the mail host to a `sendmail -bs`, as inetd does."""

    def __init__(self, sendmail: Sendmail) -> None:
        self._sendmail = sendmail
        self._listener = socket.create_server(("", 0))
        self.port = self._listener.getsockname()[1]
        self._sessions: list[subprocess.Popen] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Stops listening; sessions that are open are ended."""
        self._listener.shutdown(socket.SHUT_RDWR)  # Which also ends accept().
        self._acceptor.join()
        self._listener.close()
        for session in self._sessions:
            session.kill()
            session.wait()

    def _accept(self) -> None:
        command = [str(self._sendmail.program), "-C", str(self._sendmail.etc / "sendmail.cf"), "-bs"]
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._sessions.append(subprocess.Popen(
                    command, stdin=connection, stdout=connection, stderr=subprocess.DEVNULL, cwd=self._sendmail.etc,
                    env=self._sendmail.environment))


def _last_line_of_reply(stream: TextIO) -> str:
    for line in stream:
        if line[3:4] != "-":
            return line.rstrip()
    return ""
