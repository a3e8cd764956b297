"""Reads Postfix's log while it grows: what became of each recipient of each message."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from .waiting import wait_for

_DELIVERY = re.compile(
    r"postfix(?:[^/\s]*)/(?P<service>[\w./-]+)\[(?P<pid>\d+)\]: (?P<queue_id>[0-9A-Za-z]+): to=<(?P<to>[^>]*)>,"
    r"(?: orig_to=<(?P<orig_to>[^>]*)>,)? relay=(?P<relay>.*?),(?: conn_use=\d+,)? delay=.*? dsn=(?P<dsn>[\d.]+),"
    r" status=(?P<status>\w+) \((?P<text>.*)\)$")
_EXPIRED = re.compile(r"/qmgr\[\d+\]: (?P<queue_id>[0-9A-Za-z]+): from=<.*>, status=(?P<text>(?:force-)?expired.*)$")
_MESSAGE_ID = re.compile(r"/cleanup\[\d+\]: (?P<queue_id>[0-9A-Za-z]+): (?:resent-)?message-id=<(?P<message_id>.*)>$")
_REMOVED = re.compile(r"/\w+\[\d+\]: (?P<queue_id>[0-9A-Za-z]+): removed$")
_NOTIFICATION = re.compile(r"/bounce\[\d+\]: (?P<queue_id>[0-9A-Za-z]+): sender .*notification: (?P<new_id>\w+)$")
_TLS = re.compile(r"/(?P<service>[\w./-]+)\[(?P<pid>\d+)\]: (?P<word>\w+) TLS connection established to (?P<peer>\S+): "
                  r"(?P<version>\S+) with cipher (?P<cipher>\S+)")


@dataclass(frozen=True)
class Outcome:
    """One attempt to deliver to one recipient, as Postfix logged it."""

    queue_id: str
    recipient: str
    original_recipient: str | None
    service: str
    relay: str
    dsn: str
    status: str
    text: str

    def __str__(self) -> str:
        return f"{self.recipient}: {self.status} {self.dsn} ({self.text})"


def _same(address: str) -> str:
    return address.rstrip(".").casefold()


class MailLog:
    """An index over one log file; refresh() reads what is new. Only whole lines count."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self.queue_ids: dict[str, list[str]] = defaultdict(list)
        self.notifications: dict[str, list[str]] = defaultdict(list)
        self.removed: set[str] = set()
        self.expired: dict[str, str] = {}
        self._outcomes: dict[str, list[Outcome]] = defaultdict(list)
        self._offset = 0

    def refresh(self) -> None:
        """Reads the lines written since the last call."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[:data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            self.lines.append(line)
            self._index(line)

    def mark(self) -> int:
        """The present end of the log, to look only at what comes after."""
        self.refresh()
        return len(self.lines)

    def matching(self, pattern: str, since: int = 0) -> list[str]:
        """All lines that match the regular expression."""
        self.refresh()
        return [line for line in self.lines[since:] if re.search(pattern, line)]

    def wait_for_line(self, pattern: str, since: int = 0, deadline_s: float = 20) -> str:
        """The first line that matches, waited for."""
        return wait_for(lambda: self.matching(pattern, since), deadline_s, f"log line /{pattern}/", self.tail)[0]

    def outcomes(self, queue_id: str, recipient: str | None = None) -> list[Outcome]:
        """The attempts so far, oldest first; of all recipients, or of one (as given, or as rewritten)."""
        self.refresh()
        found = self._outcomes[queue_id]
        if recipient is None:
            return list(found)
        wanted = _same(recipient)
        return [outcome for outcome in found
                if wanted in (_same(outcome.recipient), _same(outcome.original_recipient or outcome.recipient))]

    def wait_for_outcome(self, queue_id: str, recipient: str | None = None, *, attempt: int = 1,
                         status: str | None = None, deadline_s: float = 60) -> Outcome:
        """The Nth attempt's outcome; with `status`, the first attempt that ended so ("sent", "deferred", "bounced")."""

        def found() -> list[Outcome]:
            all_so_far = self.outcomes(queue_id, recipient)
            if status is not None:
                return [outcome for outcome in all_so_far if outcome.status == status]
            return all_so_far[attempt - 1:]

        what = f"{status or f'outcome {attempt}'} of message {queue_id} for {recipient or 'its recipient'}"
        return wait_for(found, deadline_s, what, self.tail)[0]

    def wait_for_queue_id(self, message_id: str, deadline_s: float = 20, *, number: int = 1) -> str:
        """The queue id that a message got, by its Message-ID; number=2 for a forwarded copy, and so on."""

        def found() -> list[str]:
            self.refresh()
            return self.queue_ids[message_id][number - 1:]

        return wait_for(found, deadline_s, f"queue id {number} of message {message_id}", self.tail)[0]

    def wait_until_removed(self, queue_id: str, deadline_s: float = 30) -> None:
        """Until the message has left the queue."""

        def gone() -> bool:
            self.refresh()
            return queue_id in self.removed

        wait_for(gone, deadline_s, f"message {queue_id} to leave the queue", self.tail)

    def wait_for_notification(self, queue_id: str, deadline_s: float = 30) -> str:
        """The queue id of the bounce or delay warning that Postfix made for a message."""

        def found() -> list[str]:
            self.refresh()
            return self.notifications[queue_id]

        return wait_for(found, deadline_s, f"a notification about message {queue_id}", self.tail)[-1]

    def tls_connections(self, since: int = 0) -> list[re.Match]:
        """The "... TLS connection established to" lines: service, pid, word, peer, version, cipher."""
        self.refresh()
        return [match for line in self.lines[since:] if (match := _TLS.search(line))]

    def tail(self, count: int = 25) -> str:
        """The last lines, for error messages."""
        self.refresh()
        return "\n".join(["last lines of the mail log:", *self.lines[-count:]])

    def _index(self, line: str) -> None:
        if match := _DELIVERY.search(line):
            self._outcomes[match["queue_id"]].append(Outcome(
                match["queue_id"], match["to"], match["orig_to"], match["service"], match["relay"],
                match["dsn"], match["status"], match["text"]))
        elif match := _MESSAGE_ID.search(line):
            self.queue_ids[match["message_id"]].append(match["queue_id"])
        elif match := _REMOVED.search(line):
            self.removed.add(match["queue_id"])
        elif match := _NOTIFICATION.search(line):
            self.notifications[match["queue_id"]].append(match["new_id"])
        elif match := _EXPIRED.search(line):
            self.expired[match["queue_id"]] = match["text"]
