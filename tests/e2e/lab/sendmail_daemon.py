"""A Sendmail that runs as administrators run it: a daemon that takes mail over SMTP and runs its queue by itself."""

import contextlib
import itertools
import os
import signal
import socket
from pathlib import Path

from .sendmail import Sendmail
from .waiting import wait_for

START_DEADLINE_S = 30
STOP_DEADLINE_S = 30
_ports = itertools.count(2601)


class SendmailDaemon:
    """`sendmail -bd -q1s` of one instance, whose sendmail.mc needs the lines of `features()`.

    It forks, for each connection and each queue run, which are one process group with it, and for each delivery of
    what has just come in, which is a session of its own and ends by itself.
    """

    def __init__(self, directory: Path) -> None:
        self.port = next(_ports)
        self._pid_file = directory / f"sendmail-{self.port}.pid"
        self._group = 0

    def features(self) -> str:
        """Lines of sendmail.mc: where it listens."""
        return (f"define(`confPID_FILE', `{self._pid_file}')dnl\n"
                f"DAEMON_OPTIONS(`Name=MTA, Port={self.port}, Family=inet')dnl\n")

    def start(self, sendmail: Sendmail, queue: str = "-q1s") -> None:
        """Starts it; on return it takes connections. `queue` tells how it runs its queue, "" not at all."""
        self._pid_file.unlink(missing_ok=True)
        sendmail.run("-bd", *filter(None, [queue]))
        self._wait_until_it_listens()

    def hang_up(self) -> None:
        """SIGHUP: it starts itself again, as another process. Returns when that takes connections."""
        self._pid_file.unlink()
        os.kill(self._group, signal.SIGHUP)
        self._wait_until_it_listens()

    def stop(self) -> None:
        """Ends the daemon, and what it has forked."""
        if self._group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)
            wait_for(lambda: not _is_alive(self._group), STOP_DEADLINE_S, "Sendmail to end")
        self._group = 0

    def _wait_until_it_listens(self) -> None:
        wait_for(self._listens, START_DEADLINE_S, f"Sendmail to listen at port {self.port}")
        self._group = int(self._pid_file.read_text("ascii").split()[0])

    def _listens(self) -> bool:
        if not self._pid_file.exists() or not self._pid_file.read_text("ascii").strip():
            return False
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
        return True
    except ProcessLookupError:
        return False
