"""policyd on raw sockets: what a client does wrong costs that client alone, and no answer ever fails open."""

import re
import select
import socket
import threading
import time
from pathlib import Path

import pytest

from lab.forcetls import Daemon
from lab.protocol import PolicyClient, SocketmapClient, connect, netstring
from lab.solo import Place
from lab.waiting import wait_for

SLOW_DEADLINE_S = 10
QUICK_S = 0.5
LOOKUPS = 3
TOLD_DEADLINE_S = 20
DRIP_S = 13
MANY = 1000
LONGEST_MAP_REQUEST = 16384
LONGEST_POLICY_REQUEST = 65536


@pytest.fixture(scope="module", name="place")
def _place():
    place = Place()
    place.init("INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')")
    yield place
    place.close()


@pytest.fixture(scope="module", name="policyd")
def _policyd(place: Place) -> Daemon:
    return place.policyd()


@pytest.fixture(name="map_client")
def _map_client(place: Place, policyd: Daemon):
    del policyd
    with SocketmapClient(place.address("map.sock")) as client:
        yield client


@pytest.fixture(name="policy_client")
def _policy_client(place: Place, policyd: Daemon):
    del policyd
    with PolicyClient(place.address("policy.sock")) as client:
        yield client


@pytest.fixture(scope="module", name="drip_times")
def _drip_times() -> list[float]:
    """After how many seconds the dripping client was cut off."""
    return []


@pytest.fixture(scope="module", name="dripper")
def _dripper(place: Place, policyd: Daemon, drip_times: list[float]):
    """Sends one byte of one request each second, beside the other tests."""
    del policyd

    def drip() -> None:
        with SocketmapClient(place.address("map.sock"), 1) as client:
            begin = time.monotonic()
            for byte in netstring(b"tls " + b"a" * 100)[:DRIP_S]:
                try:
                    client.send(bytes([byte]))
                    closed = client.connection.recv(1) == b""
                except TimeoutError:
                    continue
                except OSError:
                    closed = True
                if closed:
                    drip_times.append(time.monotonic() - begin)
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    return thread


def _assert_served(place: Place) -> None:
    """At once, by the quickest of a few lookups: the machine may be busy with something else."""
    times = []
    for _ in range(LOOKUPS):
        begin = time.monotonic()
        assert place.lookup("bank.example").startswith("OK secure ")
        times.append(time.monotonic() - begin)
    assert min(times) < QUICK_S


# -- socketmap -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("key", "start"), [
    ("bank.example", "OK secure match=nexthop:dot-nexthop "), ("BANK.Example", "OK secure "),
    ("bank.example.", "OK secure "), ("ｂank.example", "OK secure "), ("bank。example", "OK secure "),
    ("other.example", "NOTFOUND "), ("sub.bank.example", "NOTFOUND "), ("/var/run/x", "NOTFOUND "),
    ("😀\u200b--.example", "TEMP "), (b"\xff\xfe.example", "TEMP "), ("[", "TEMP "),
])
def test_a_key_is_answered_by_its_row_or_not_found_or_temp(map_client: SocketmapClient, key: str, start: str):
    assert map_client.lookup("tls", key).startswith(start)


@pytest.mark.parametrize("name", ["nonsense", "TLS", "tls2", "t", "forced", "sender", "transport"])
def test_an_unknown_map_is_temp(map_client: SocketmapClient, name: str):
    assert map_client.lookup(name, "bank.example").startswith("TEMP ")
    assert map_client.lookup("tls", "bank.example").startswith("OK secure ")


@pytest.mark.parametrize("data", [
    b"not a netstring at all\n", b":,", b"-1:x,", b"+1:x,", b" 5:tls x,", b"99999999999999999999:x", b"16385:",
    b"20000:x",
    b"5:tls x;", b"3:tls,", b"0:,", b"5;tls x,", b"\0\0\0\0\0\0\0\0", b"GET / HTTP/1.0\r\n\r\n",
    b"request=smtpd_access_policy\n\n", b"\x16\x03\x01\x02\x00\x01",
], ids=repr)
def test_what_is_no_request_ends_its_own_connection_and_is_logged(place: Place, policyd: Daemon, data: bytes):
    before = policyd.output().count("closing a connection")
    with SocketmapClient(place.address("map.sock")) as client:
        client.send(data)
        assert client.is_closed_by_server()
    assert policyd.output().count("closing a connection") == before + 1
    _assert_served(place)


def test_good_requests_before_a_bad_one_are_answered(map_client: SocketmapClient):
    map_client.send(netstring(b"tls bank.example") + netstring(b"tls other.example") + b"garbage")
    assert map_client.read_answer().startswith("OK secure ")
    assert map_client.read_answer() == "NOTFOUND "
    assert map_client.is_closed_by_server()


def test_the_longest_request_is_answered_and_a_longer_one_is_not(place: Place, policyd: Daemon):
    del policyd
    for length, answered in ((LONGEST_MAP_REQUEST, True), (LONGEST_MAP_REQUEST + 1, False)):
        with SocketmapClient(place.address("map.sock")) as client:
            client.send(netstring(b"tls " + b"a" * (length - 4)))
            if answered:
                assert client.read_answer() == "NOTFOUND "
            else:
                assert client.is_closed_by_server()


def test_pipelined_requests_are_all_answered_in_order(map_client: SocketmapClient):
    keys = [b"bank.example" if n % 3 else b"other-%d.example" % n for n in range(300)]
    map_client.send(b"".join(netstring(b"tls " + key) for key in keys))
    for key in keys:
        assert map_client.read_answer().startswith("OK" if key == b"bank.example" else "NOTFOUND ")


def test_a_request_that_comes_byte_by_byte_is_answered(map_client: SocketmapClient):
    for byte in netstring(b"tls bank.example"):
        map_client.send(bytes([byte]))
    assert map_client.read_answer().startswith("OK secure ")


def test_a_client_that_closes_its_half_still_gets_its_answers(map_client: SocketmapClient):
    map_client.send(netstring(b"tls bank.example") * 50)
    map_client.connection.shutdown(socket.SHUT_WR)
    answers = [map_client.read_answer() for _ in range(50)]
    assert all(answer.startswith("OK secure ") for answer in answers)
    assert map_client.is_closed_by_server()


def test_clients_that_never_finish_or_never_read_are_closed_after_10_seconds_and_idle_ones_are_not(
        place: Place, policyd: Daemon, dripper: threading.Thread):
    """One test for all of them, since the 10 s are waited for once."""
    del dripper  # it begins here, for the next test
    idle = SocketmapClient(place.address("map.sock"))
    idle_policy = PolicyClient(place.address("policy.sock"))
    begun = [SocketmapClient(place.address("map.sock"), 20) for _ in range(3)]
    begun.append(PolicyClient(place.address("policy.sock"), 20))
    begin = time.monotonic()
    for client, data in zip(begun, [b"2", b"16:tls bank.examp", b"16384:", b"request=smtpd_access"], strict=True):
        client.send(data)
    deaf = connect(place.address("map.sock"))
    deaf.setblocking(False)
    flood = netstring(b"tls bank.example") * 1000
    with pytest.raises(BlockingIOError):  # It takes no more once its replies are not read.
        while time.monotonic() - begin < SLOW_DEADLINE_S:
            deaf.send(flood)
    _assert_served(place)
    for client in begun:
        assert client.is_closed_by_server()
        assert SLOW_DEADLINE_S - 1 <= time.monotonic() - begin <= SLOW_DEADLINE_S + 3
    assert idle.lookup("tls", "bank.example").startswith("OK secure ")
    assert idle_policy.ask() == "DUNNO"
    wait_for(lambda: _is_dead(deaf), TOLD_DEADLINE_S, "the client that does not read to be closed")
    wait_for(lambda: "took over 10 s for one request" in policyd.output(), TOLD_DEADLINE_S, "the log to tell of it",
             policyd.output)
    for client in (idle, idle_policy, deaf, *begun):
        client.close()


def _is_dead(connection: socket.socket) -> bool:
    """True once the server has hung up. Nothing is read: then the server could go on with its answers."""
    poller = select.poll()
    poller.register(connection, 0)  # tells of an end and of an error all the same
    return bool(poller.poll(0))


def test_a_request_that_drips_in_for_more_than_10_seconds_is_cut_off_though_a_byte_comes_every_second(
        dripper: threading.Thread, drip_times: list[float]):
    dripper.join(SLOW_DEADLINE_S + 5)
    assert drip_times, f"still open after {DRIP_S} s"
    assert SLOW_DEADLINE_S - 1 <= drip_times[0] <= SLOW_DEADLINE_S + 3


def test_a_thousand_idle_connections_do_not_slow_down_another(place: Place, policyd: Daemon):
    del policyd
    clients = [SocketmapClient(place.address("map.sock")) for _ in range(MANY)]
    try:
        _assert_served(place)
        for client in clients[::97]:
            assert client.lookup("tls", "bank.example").startswith("OK secure ")
    finally:
        for client in clients:
            client.close()


def _start_with_most_connections(place: Place, number: int) -> tuple[Daemon, str]:
    """A policyd with this max_connections, answering, and the address of its map."""
    config = place.directory / f"most-{number}.conf"
    config.write_text(f"max_connections = {number}\n", encoding="ascii")
    address = place.address(f"most-{number}.sock")
    daemon = place.daemon("forcetls-policyd", "--config", str(config), "--listen-map", address)
    daemon.start()
    place.wait_until_it_answers(daemon, address)
    return daemon, address


def test_above_max_connections_the_longest_idle_gives_way(place: Place):
    _, address = _start_with_most_connections(place, 8)
    clients = [SocketmapClient(address) for _ in range(8)]
    for client in (*clients[1:], clients[0]):
        assert client.lookup("tls", "bank.example").startswith("OK secure ")
    another = SocketmapClient(address)
    assert another.lookup("tls", "bank.example").startswith("OK secure ")
    assert clients[1].is_closed_by_server(), "it was idle for the longest time"
    for client in (clients[0], *clients[2:]):
        assert client.lookup("tls", "bank.example").startswith("OK secure ")
    for client in (*clients, another):
        client.close()


def test_many_that_give_way_fill_no_log(place: Place):
    daemon, address = _start_with_most_connections(place, 1)
    clients = [SocketmapClient(address) for _ in range(300)]
    assert clients[-1].lookup("tls", "bank.example").startswith("OK secure ")
    wait_for(lambda: re.search(r"gives way \((29\d|30\d) so far\)", daemon.output()), TOLD_DEADLINE_S,
             "all to be told of", daemon.output)
    assert daemon.output().count("gives way") < 50
    for client in clients:
        client.close()


def test_clients_never_take_the_descriptors_that_the_policy_file_needs(place: Place):
    address = place.address("few-files.sock")
    daemon = place.daemon("forcetls-policyd", "--listen-map", address, under=("prlimit", "--nofile=128:128"))
    daemon.start()
    place.wait_until_it_answers(daemon, address)
    clients = [SocketmapClient(address) for _ in range(160)]
    try:
        assert clients[-1].lookup("tls", "new.example") == "NOTFOUND "
        status, errors = place.sql("INSERT INTO domain_policy(domain, outbound) VALUES ('new.example', 'secure')")
        assert status == 0, errors
        wait_for(lambda: place.lookup("new.example", address=address).startswith("OK secure "), TOLD_DEADLINE_S,
                 "the row to be in force", daemon.output)
        assert "RLIMIT_NOFILE" in daemon.output()
    finally:
        for client in clients:
            client.close()


def test_when_all_places_are_busy_with_requests_the_slowest_gives_way_loudly(place: Place):
    daemon, address = _start_with_most_connections(place, 2)
    slowest, busy = SocketmapClient(address), SocketmapClient(address)
    for client in (slowest, busy):
        client.send(netstring(b"tls bank.example") + b"17:tls")
        assert client.read_answer().startswith("OK secure ")
    with SocketmapClient(address) as another:
        assert another.lookup("tls", "bank.example").startswith("OK secure ")
    assert slowest.is_closed_by_server()
    wait_for(lambda: "max_connections reached" in daemon.output(), TOLD_DEADLINE_S, "the log to tell of it",
             daemon.output)
    busy.send(b" other.example,")
    assert busy.read_answer() == "NOTFOUND "
    busy.close()
    slowest.close()
    daemon.stop()


# -- policy delegation -----------------------------------------------------------------------------------------------

OUTSIDE = {"client_address": "203.0.113.1", "sender": "a@customer.example"}


def test_a_forced_recipient_from_an_outside_client_in_clear_is_deferred_with_a_sentence(policy_client: PolicyClient):
    action = policy_client.ask(recipient="u@Bank.Example", **OUTSIDE)
    assert action == "451 4.7.4 mail for bank.example must be handed over with TLS; use STARTTLS"


@pytest.mark.parametrize("attributes", [
    {"recipient": "u@other.example"}, {"recipient": "u@bank.example", "encryption_protocol": "TLSv1.3"},
    {"recipient": "u@bank.example", "protocol_state": "DATA"},
    {"recipient": "u@bank.example", "protocol_state": "MAIL"},
    {"recipient": ""}, {"recipient": "postmaster"}, {"recipient": "u@other.example", "sender": ""},
    {"recipient": "u@other.example", "future_attribute": "yes", "another": "a=b=c"},
    {"recipient": "u@bank.example", "client_address": "127.0.0.1"},
])
def test_without_an_objection_the_answer_is_dunno(policy_client: PolicyClient, attributes: dict[str, str]):
    assert policy_client.ask(**{**OUTSIDE, **attributes}) == "DUNNO"


@pytest.mark.parametrize("recipient", [
    "u@", "@", "@@", "u@.", "u@[", "u@bank.example@", "\"a b\"@bank.example", "u@\u200b", "u@" + "a" * 5000, "u@-",
    "u@bank.example;x", "u@bank example"])
def test_odd_recipients_never_get_ok_nor_an_empty_action(policy_client: PolicyClient, recipient: str):
    action = policy_client.ask(recipient=recipient, **OUTSIDE)
    assert action == "DUNNO" or action.startswith("451 4.7.")
    assert "\n" not in action and len(action) <= 512


@pytest.mark.parametrize("data", [
    b"no equals sign\n\n", b"request=junk_mail\n\n", b"protocol_state=RCPT\n\n", b"\n", b"\n\n", b"\0\n\n",
    b"16:tls bank.example,\n\n", b"request=smtpd_access_policy\nx\n\n",
    b"request=smtpd_access_policy\nx=" + b"a" * LONGEST_POLICY_REQUEST + b"\n\n",
], ids=lambda data: repr(data[:40]))
def test_a_malformed_policy_request_is_closed_and_logged(place: Place, policyd: Daemon, data: bytes):
    before = policyd.output().count("service=policy closing a connection")
    with PolicyClient(place.address("policy.sock")) as client:
        client.send(data)
        assert client.is_closed_by_server()
    assert policyd.output().count("service=policy closing a connection") == before + 1
    _assert_served(place)


def test_pipelined_policy_requests_are_all_answered(policy_client: PolicyClient):
    request = b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=203.0.113.1\nrecipient=u@%s\n\n"
    policy_client.send(b"".join(request % (b"bank.example" if n % 2 else b"other.example") for n in range(200)))
    answers = [policy_client.read_action() for _ in range(200)]
    assert answers[0::2] == ["DUNNO"] * 100
    assert all(answer.startswith("451 4.7.4 ") for answer in answers[1::2])


def test_a_policy_request_that_comes_byte_by_byte_is_answered(policy_client: PolicyClient):
    for byte in b"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=u@other.example\n\n":
        policy_client.send(bytes([byte]))
    assert policy_client.read_action() == "DUNNO"


def test_a_log_line_cannot_be_forged_by_a_client(place: Place, policyd: Daemon, policy_client: PolicyClient):
    policy_client.ask(recipient="u@bank.example", queue_id="4ABC: to=<x>, status=sent\r", **OUTSIDE)
    lines = Path(policyd.log).read_text("utf-8").splitlines()
    assert all(line.startswith("forcetls-policyd[") for line in lines)
    assert not any("\r" in line for line in lines)
    _assert_served(place)
