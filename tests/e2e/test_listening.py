"""Where the daemons listen, and how they start: addresses, sockets of systemd, flags, configuration file."""

import contextlib
import os
import re
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lab.forcetls import PROGRAMS, Daemon
from lab.host_files import DAEMON_USER
from lab.protocol import PolicyClient, ProtocolError, SocketmapClient, connect
from lab.solo import Place
from lab.waiting import wait_for

DAEMONS = ("forcetls-policyd", "forcetls-milter")
EX_USAGE, EX_CONFIG = 64, 78
WATCHDOG_US = 200_000
START_DEADLINE_S = 30
DRAIN_S = 5  # how long policyd waits for clients at its end


@pytest.fixture(scope="module", name="place")
def _place():
    place = Place()
    place.init("INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')")
    yield place
    place.close()


def _listen_flag(program: str) -> str:
    return "--listen" if program == "forcetls-milter" else "--listen-map"


def _fails(place: Place, program: str, *arguments: str) -> subprocess.CompletedProcess:
    result = place.run(program, "--foreground", "--policy-db", str(place.policy_db), *arguments)
    assert result.returncode != 0
    assert len(result.stderr.strip().splitlines()[-1]) < 400
    return result


# -- addresses -------------------------------------------------------------------------------------------------------

def test_several_addresses_are_served_also_over_tcp_and_ipv6(place: Place):
    maps = [place.address("one.sock"), place.address("two.sock"), "inet:127.0.0.1:18461", "inet:[::1]:18461"]
    policies = [place.address("p1.sock"), "inet:localhost:18462", "inet:[::1]:18463"]
    flags = [text for address in maps for text in ("--listen-map", address)]
    flags += [text for address in policies for text in ("--listen-policy", address)]
    daemon = place.daemon("forcetls-policyd", *flags)
    daemon.start()
    for address in maps:
        place.wait_until_it_answers(daemon, address)
        assert place.lookup("bank.example", address=address).startswith("OK secure ")
    for address in policies:
        with PolicyClient(address.replace("localhost", "127.0.0.1")) as client:
            assert client.ask(recipient="u@bank.example", client_address="203.0.113.1").startswith("451 4.7.4 ")
    assert daemon.stop() == 0


@pytest.mark.parametrize("program", DAEMONS)
@pytest.mark.parametrize("address", [
    "inet:0.0.0.0:18500", "inet:10.90.0.1:18500", "inet:[::]:18500", "inet:example.com:18500", "inet::18500",
    "inet:127.0.0.1", "inet:127.0.0.1:0", "inet:127.0.0.1:65536", "inet:127.0.0.1:smtp", "unix:relative.sock", "unix:",
    "/run/x.sock", "local:/run/x.sock", "unix:/" + "x" * 200,
])
def test_a_bad_address_is_refused_with_a_sentence_that_names_it(place: Place, program: str, address: str):
    result = _fails(place, program, _listen_flag(program), address)
    assert result.returncode == EX_USAGE
    assert f"'{address}'" in result.stderr and "write unix:/PATH or inet:127.0.0.1:PORT" in result.stderr


@pytest.mark.parametrize("program", DAEMONS)
def test_a_stale_socket_is_replaced_and_one_in_use_is_not(place: Place, program: str):
    address = place.address(f"{program}.stale.sock")
    path = Path(address.removeprefix("unix:"))
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    daemon = place.daemon(program, _listen_flag(program), address)
    daemon.start()
    wait_for(lambda: _connects(address), START_DEADLINE_S, f"{program} to listen", daemon.output)
    second = _fails(place, program, _listen_flag(program), address)
    assert second.returncode == EX_CONFIG
    assert f"cannot listen on {address}" in second.stderr
    assert _connects(address)
    daemon.kill()
    assert path.exists()
    daemon.start()
    wait_for(lambda: _connects(address), START_DEADLINE_S, f"{program} to listen again", daemon.output)
    daemon.stop()


def _connects(address: str) -> bool:
    try:
        connect(address).close()
        return True
    except OSError:
        return False


@pytest.mark.parametrize("program", DAEMONS)
def test_a_file_that_is_no_socket_is_never_removed(place: Place, program: str):
    precious = place.sockets / f"{program}.precious"
    precious.write_text("precious", encoding="ascii")
    result = _fails(place, program, _listen_flag(program), f"unix:{precious}")
    assert result.returncode == EX_CONFIG
    assert precious.read_text("ascii") == "precious"


@pytest.mark.parametrize("program", DAEMONS)
def test_a_port_in_use_and_a_missing_directory_are_told(place: Place, program: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"inet:127.0.0.1:{taken.getsockname()[1]}"
        assert f"cannot listen on {address}" in _fails(place, program, _listen_flag(program), address).stderr
    missing = f"unix:{place.directory}/missing/x.sock"
    assert f"cannot listen on {missing}" in _fails(place, program, _listen_flag(program), missing).stderr


@pytest.mark.parametrize("program", DAEMONS)
def test_a_unix_socket_is_open_to_owner_and_group_only(place: Place, program: str):
    address = place.address(f"{program}.mode.sock")
    daemon = place.daemon(program, _listen_flag(program), address)
    daemon.start()
    wait_for(lambda: _connects(address), START_DEADLINE_S, f"{program} to listen", daemon.output)
    assert stat.S_IMODE(os.stat(address.removeprefix("unix:")).st_mode) == 0o660
    daemon.stop()


# -- systemd ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("program", DAEMONS)
def test_systemd_hears_ready_then_signs_of_life_then_stopping(place: Place, program: str):
    address = place.address(f"{program}.notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = place.directory / f"{program}.notify"
        manager.bind(str(path))
        path.chmod(0o666)
        manager.settimeout(START_DEADLINE_S)
        daemon = place.daemon(program, _listen_flag(program), address, environment={
            "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(WATCHDOG_US)})
        daemon.start()
        heard = [manager.recv(1000) for _ in range(4)]
        assert sorted(heard) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        assert _connects(address), "READY=1 is said only when it listens"
        thread = threading.Thread(target=daemon.stop)
        thread.start()
        while (last := manager.recv(1000)) == b"WATCHDOG=1":
            pass
        assert last == b"STOPPING=1"
        thread.join()


def test_a_milter_that_nobody_can_reach_gives_no_sign_of_life(place: Place):
    address = place.address("unreachable.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = place.directory / "unreachable.notify"
        manager.bind(str(path))
        path.chmod(0o666)
        manager.settimeout(START_DEADLINE_S)
        daemon = place.daemon("forcetls-milter", "--listen", address, environment={
            "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(WATCHDOG_US)})
        daemon.start()
        while manager.recv(1000) != b"WATCHDOG=1":
            pass
        Path(address.removeprefix("unix:")).unlink()
        _wait_for_misses(daemon, 1)  # Until then a probe may be under way that has found the socket.
        _all_that_came(manager)
        _wait_for_misses(daemon, 3)
        assert not _all_that_came(manager), "a sign of life that was given while the socket was removed"
        daemon.stop()


def _wait_for_misses(daemon: Daemon, count: int) -> None:
    """Until the milter has missed its socket so many times more."""
    before = daemon.output().count("no answer on our own socket")
    wait_for(lambda: daemon.output().count("no answer on our own socket") >= before + count, START_DEADLINE_S,
             "the milter to miss its socket", daemon.output)


def _all_that_came(manager: socket.socket) -> list[bytes]:
    """The messages that are there; does not wait for others."""
    manager.setblocking(False)
    heard = []
    with contextlib.suppress(BlockingIOError):
        while True:
            heard.append(manager.recv(1000))
    return heard


@pytest.mark.parametrize("misses", [1, 2])
def test_a_milter_that_misses_one_probe_or_two_is_not_restarted(place: Place, misses: int):
    interval_us = 20 * WATCHDOG_US
    address = place.address("missed.sock")
    there, away = Path(address.removeprefix("unix:")), place.sockets / "missed.away"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = place.directory / f"missed.notify.{misses}"
        manager.bind(str(path))
        path.chmod(0o666)
        manager.settimeout(START_DEADLINE_S)
        daemon = place.daemon("forcetls-milter", "--listen", address, environment={
            "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(interval_us)})
        daemon.start()
        while manager.recv(1000) != b"WATCHDOG=1":
            pass
        last_sign = time.monotonic()
        missed_before = daemon.output().count("no answer on our own socket")
        there.rename(away)
        wait_for(lambda: daemon.output().count("no answer on our own socket") == missed_before + misses,
                 START_DEADLINE_S, "the milter to miss its socket", daemon.output)
        away.rename(there)
        assert manager.recv(1000) == b"WATCHDOG=1"
        # What systemd goes by; there is a quarter of the interval to spare.
        assert time.monotonic() - last_sign < interval_us / 1e6, "systemd would have restarted it"
        daemon.stop()


def test_policyd_serves_the_sockets_that_systemd_names_map_and_policy(place: Place):
    sockets = [_listening(place, "sd-policy"), _listening(place, "sd-map")]
    log = place.directory / "activated.log"
    process = place.start_with_sockets("forcetls-policyd", sockets, "policy:map", log)
    try:
        assert place.lookup("bank.example", address=place.address("sd-map")).startswith("OK secure ")
        with PolicyClient(place.address("sd-policy")) as client:
            assert client.ask(recipient="u@bank.example", client_address="203.0.113.1").startswith("451 4.7.4 ")
    finally:
        process.terminate()
        assert process.wait() == 0, log.read_text("utf-8")
        _close(sockets)


@pytest.mark.parametrize("names", ["map:other", "maps", None, ""])
def test_a_socket_with_another_name_is_refused_with_a_sentence(place: Place, names: str | None):
    sockets = [_listening(place, f"sd-wrong-{number}") for number in range(2 if names == "map:other" else 1)]
    log = place.directory / "wrong-name.log"
    process = place.start_with_sockets("forcetls-policyd", sockets, names, log)
    assert process.wait(START_DEADLINE_S) == EX_CONFIG
    assert "FileDescriptorName= to map or policy" in log.read_text("utf-8")
    _close(sockets)


def test_with_socket_activation_a_restart_loses_no_lookup(place: Place):
    sockets = [_listening(place, "sd-held")]
    log = place.directory / "held.log"
    stop, answers, broken = threading.Event(), [], []

    def ask_as_postfix() -> str:
        """A connection that is closed without a reply is replaced once: then the lookup has failed."""
        try:
            return place.lookup("bank.example", address=place.address("sd-held"))
        except (OSError, ProtocolError):
            return place.lookup("bank.example", address=place.address("sd-held"))

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.append(ask_as_postfix())
            except (OSError, ProtocolError) as error:
                broken.append(repr(error))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    process = place.start_with_sockets("forcetls-policyd", sockets, "map", log)
    for asker in askers:
        asker.start()
    for _ in range(5):
        seen = len(answers)
        wait_for(lambda enough=seen + 50: len(answers) > enough, START_DEADLINE_S, "lookups to go on")
        process.terminate()
        assert process.wait(START_DEADLINE_S) == 0
        process = place.start_with_sockets("forcetls-policyd", sockets, "map", log)
    stop.set()
    for asker in askers:
        asker.join()
    process.terminate()
    process.wait()
    _close(sockets)
    assert not broken, f"{len(broken)} lookups lost of {len(answers)}: {broken[:3]}"
    assert set(answer[:10] for answer in answers) == {"OK secure "}


def test_the_milter_serves_the_socket_of_systemd_and_refuses_two(place: Place):
    sockets = [_listening(place, "sd-milter"), _listening(place, "sd-milter-2")]
    log = place.directory / "milter-activated.log"
    process = place.start_with_sockets("forcetls-milter", sockets[:1], "milter", log)
    wait_for(lambda: "ready: listening on a socket of systemd's" in log.read_text("utf-8"), START_DEADLINE_S, "ready")
    with connect(place.address("sd-milter")) as client:
        client.sendall(bytes.fromhex("0000000d4f00000006000001ff001fffff"))
        assert client.recv(5)[4:5] == b"O", "no answer to the option negotiation"
    process.terminate()
    assert process.wait(START_DEADLINE_S) == 0
    process = place.start_with_sockets("forcetls-milter", sockets, "a:b", log)
    assert process.wait(START_DEADLINE_S) == EX_CONFIG
    assert "systemd passed several sockets" in log.read_text("utf-8")
    _close(sockets)


def _listening(place: Place, name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    path = place.sockets / name
    path.unlink(missing_ok=True)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(128)
    return listener


def _close(sockets: list[socket.socket]) -> None:
    for listener in sockets:
        listener.close()


# -- flags and configuration file ------------------------------------------------------------------------------------

@pytest.mark.parametrize("program", PROGRAMS)
def test_help_and_version_succeed_and_help_has_examples(place: Place, program: str):
    shown = place.run(program, "--help")
    assert shown.returncode == 0 and "Examples:" in shown.stdout and "Exit status" in shown.stdout
    version = place.run(program, "--version")
    assert version.returncode == 0
    assert re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", version.stdout)


@pytest.mark.parametrize("program", DAEMONS)
@pytest.mark.parametrize("flags", [["--nonsense"], ["--policy-db"], ["word"], ["--log-level", "loud"],
                                   ["--max-connections", "3"]])
def test_wrong_use_is_one_line_and_exit_64(place: Place, program: str, flags: list[str]):
    result = place.run(program, *flags)
    assert result.returncode == EX_USAGE
    assert len(result.stderr.strip().splitlines()) == 1
    assert not result.stdout


@pytest.mark.parametrize("program", DAEMONS)
@pytest.mark.parametrize("line", ["nonsense = 1", "no equals sign", "listen_map = inet:0.0.0.0:25", "log_level = loud",
                                  "max_connections = 0", "max_connections = many", "policy_db =", "= x"])
def test_an_error_in_the_configuration_names_file_and_line(place: Place, program: str, line: str):
    config = place.directory / "bad.conf"
    config.write_text(f"# comment\n\n  log_level = info\n{line}\n", encoding="ascii")
    result = place.run(program, "--config", str(config))
    assert result.returncode == EX_CONFIG
    assert f"{config}:4" in result.stderr and len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_configuration_file_that_is_named_must_be_there(place: Place, program: str):
    arguments = ["check", "x.example"] if program == "forcetls" else []
    result = place.run(program, *arguments, "--config", "/nowhere/forcetls.conf")
    assert result.returncode == EX_CONFIG
    assert "/nowhere/forcetls.conf" in result.stderr


def test_flags_override_the_configuration_file(place: Place):
    config = place.directory / "good.conf"
    config.write_text(f"policy_db = /nowhere/policy.db\nlisten_map = {place.address('from-file.sock')}\n"
                      f"listen_policy = {place.address('p-file.sock')}\n", encoding="ascii")
    daemon = place.daemon("forcetls-policyd", "--config", str(config), "--listen-map", place.address("flag.sock"))
    daemon.start()
    place.wait_until_it_answers(daemon, place.address("flag.sock"))
    assert place.lookup("bank.example", address=place.address("flag.sock")).startswith("OK secure ")
    assert not _connects(place.address("from-file.sock"))
    assert _connects(place.address("p-file.sock"))
    daemon.stop()


# -- signals and rights ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_policyd_ends_at_once_when_nothing_is_asked(place: Place, number: str):
    daemon = place.policyd()
    with SocketmapClient(place.address("map.sock")) as idle:
        idle.lookup("tls", "bank.example")
        os.kill(daemon.pid, getattr(__import__("signal"), number))
        assert idle.is_closed_by_server()
    wait_for(lambda: daemon.pid is None, DRAIN_S - 1, "policyd to end")
    assert daemon.stop() == 0


@pytest.mark.parametrize("command", [
    "sqlite3 {db} \"INSERT INTO domain_policy(domain) VALUES ('evil.example')\"", "rm -f {db}", "mv {db} {db}.x",
    "touch {db}-journal", "cp /dev/null {db}", "sqlite3 {db} 'PRAGMA journal_mode=WAL; DELETE FROM domain_policy'"])
def test_the_daemons_user_cannot_change_the_policy(place: Place, command: str):
    before = place.policy_db.read_bytes()
    result = subprocess.run(["setpriv", "--reuid", str(DAEMON_USER.uid), "--regid", str(DAEMON_USER.uid),
                             "--clear-groups", "sh", "-c", command.format(db=place.policy_db)],
                            capture_output=True, check=False)
    assert result.returncode != 0
    assert place.policy_db.read_bytes() == before
    assert [file.name for file in place.policy_db.parent.iterdir()] == ["policy.db"]
