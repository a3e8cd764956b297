"""Runs a command in namespaces of its own: the lab never touches the host it runs on.

    python3 tests/e2e/lab/isolate.py COMMAND [ARGUMENT...]

The command gets private mounts, a private network (only loopback) and a private process tree. All files of a run are on
a tmpfs that only the run can see, so nothing is left when it ends, however it ends: if this program is killed, the
kernel kills every process of the run, and with the last one the tmpfs goes. Runs side by side do not see each other.
With FORCETLS_LAB_KEEP=DIRECTORY in the environment, logs and captures are copied there at the end.
Needs root (namespaces, port 25, chroot). This file imports nothing of the lab, so that it can be run by its path.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

MARKER = "FORCETLS_LAB_DIRECTORY"
KEEP = "FORCETLS_LAB_KEEP"
KEPT = ("*/maillog", "*/*.log", "*.pcap")
DIRECTORY_PREFIX = "forcetls-lab-"
ABANDONED_AFTER_S = 60
TOOLS = ("unshare", "setpriv", "mount", "ip")


class IsolationError(RuntimeError):
    """The lab cannot be isolated here; the text says what is missing."""


def is_isolated() -> bool:
    """True inside a run: the marker is set and its directory is the run's own tmpfs."""
    return MARKER in os.environ and os.path.ismount(os.environ[MARKER])


def run_directory() -> Path:
    """The directory of this run, traversable by every user. Only valid inside a run."""
    if not is_isolated():
        raise IsolationError("the lab must run in its own namespaces: start it through lab.isolate")
    return Path(os.environ[MARKER])


def run_isolated(command: list[str]) -> int:
    """Runs the command isolated, waits for it, and returns its exit status (128 + N when signal N ended it)."""
    _check_prerequisites()
    _remove_abandoned_directories()
    with _locked_directory() as directory:
        first = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork",
                 "--kill-child", "--mount-proc", "--propagation", "private"]
        init = [sys.executable, os.path.abspath(__file__), "--init", directory]
        child = subprocess.Popen([*first, *init, *command])
        try:
            return _wait_ignoring_interrupts(child)
        finally:
            child.kill()
            child.wait()


def ensure_isolated() -> None:
    """Returns only inside a run; elsewhere runs this same program isolated, and exits with its status."""
    if not is_isolated():
        sys.exit(run_isolated([sys.executable, *sys.argv]))


def _check_prerequisites() -> None:
    if os.geteuid() != 0:
        raise IsolationError("the lab needs root: it makes namespaces and listens on port 25")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise IsolationError(f"the lab needs {', '.join(missing)} (Debian: util-linux, mount, iproute2)")


@contextmanager
def _locked_directory():
    """Makes the mount point of a run; the lock on it says that the run lives. Removed at the end (it is empty here)."""
    directory = tempfile.mkdtemp(prefix=DIRECTORY_PREFIX)
    os.chmod(directory, 0o755)
    handle = os.open(directory, os.O_RDONLY)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield directory
    finally:
        os.rmdir(directory)
        os.close(handle)


def _remove_abandoned_directories() -> None:
    """Removes the empty mount points of runs whose outer process was killed: nobody holds their lock."""
    for directory in Path(tempfile.gettempdir()).glob(DIRECTORY_PREFIX + "*"):
        try:
            if time.time() - directory.stat().st_mtime < ABANDONED_AFTER_S:
                continue
            handle = os.open(directory, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rmdir(directory)
        except OSError:
            pass  # A run that lives, or not ours.
        finally:
            os.close(handle)


def _wait_ignoring_interrupts(child: subprocess.Popen) -> int:
    """Ctrl-C reaches the isolated command by itself (same terminal); it ends, and then we do."""
    while True:
        try:
            status = child.wait()
            return status if status >= 0 else 128 - status
        except KeyboardInterrupt:
            continue


def _init(directory: str, command: list[str]) -> int:
    """Process 1 of the run: prepares it, starts the command, reaps orphans, ends with the command."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "forcetls-lab", directory], check=True)
    temporary = Path(directory, "tmp")
    temporary.mkdir()
    temporary.chmod(0o1777)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # postlogd logs to its own socket. With 10 messages there, the kernel's default, it waits for itself for ever: so many
    # warnings are logged at once when all daemons start with a parameter that is set twice (3.7.11).
    Path("/proc/sys/net/unix/max_dgram_qlen").write_text("1000", encoding="ascii")
    os.environ[MARKER] = directory
    os.environ["TMPDIR"] = str(temporary)
    child = os.fork()
    if child == 0:
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            os._exit(127)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            _keep_evidence(Path(directory))
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _keep_evidence(directory: Path) -> None:
    if KEEP not in os.environ:
        return
    for file in (file for pattern in KEPT for file in directory.glob(pattern)):
        target = Path(os.environ[KEEP], file.relative_to(directory))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)


def main(arguments: list[str]) -> int:
    """Command line: see the top of this file."""
    if len(arguments) >= 3 and arguments[0] == "--init":
        return _init(arguments[1], arguments[2:])
    if not arguments:
        print("usage: isolate.py COMMAND [ARGUMENT...]", file=sys.stderr)
        return 64
    if is_isolated():
        return subprocess.run(arguments, check=False).returncode
    try:
        return run_isolated(arguments)
    except IsolationError as error:
        print(f"isolate: {error}", file=sys.stderr)
        return 77


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
