"""The lab's network: the mail host here, all partners and clients in a second network namespace.

          mail host (this namespace)          partner side (anonymous namespace, held by this process)
          10.90.0.1  mail0 ------------------ part0  10.90.0.2 (DNS)
                                              10.91.0.0/16       partner servers
                                              10.92.0.0/16       clients on the LAN
                                              203.0.113.0/24     clients outside that may relay (mynetworks)
                                              198.51.100.0/24    strangers

Every address of these networks is local on the partner side, so a server or client may bind any of them.
"""

import ctypes
import os
import socket
import subprocess
from contextlib import contextmanager

MAIL_HOST = "10.90.0.1"
MAIL_HOST_V6 = "fd00:90::1"
DNS_ADDRESS = "10.90.0.2"
PARTNER_SIDE_V6 = "fd00:90::2"
PARTNER_NETWORK_V6 = "fd00:91::/64"
PARTNER_SIDE_NETWORKS = ("10.91.0.0/16", "10.92.0.0/16", "203.0.113.0/24", "198.51.100.0/24")
LAN_CLIENT = "10.92.0.1"
OUTSIDE_CLIENT = "203.0.113.1"
STRANGER = "198.51.100.1"
MAIL_HOST_INTERFACE = "mail0"
PARTNER_INTERFACE = "part0"
CLONE_NEWNET = 0x40000000
IPV6_FREEBIND = 78

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)


class Network:
    """Both namespaces and the link between them. Ends with the process: nothing has a name outside it."""

    def __init__(self) -> None:
        self._mail_host_ns = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.unshare(CLONE_NEWNET))
        try:
            self._partner_ns = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            self._enter(self._mail_host_ns)
        self._join()

    def close(self) -> None:
        """Lets go of the partner side; it disappears with the last socket or process in it."""
        subprocess.run(["ip", "link", "delete", MAIL_HOST_INTERFACE], check=False)
        os.close(self._partner_ns)
        os.close(self._mail_host_ns)

    @contextmanager
    def partner_side(self):
        """Sockets made and processes started in this block (by this thread) belong to the partner side."""
        self._enter(self._partner_ns)
        try:
            yield
        finally:
            self._enter(self._mail_host_ns)

    def listen(self, address: str, port: int) -> socket.socket:
        """A listening TCP socket on the partner side."""
        listener = self._partner_side_socket(address)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(256)
        return listener

    def connect_from(self, source: str, address: str, port: int, timeout_s: float) -> socket.socket:
        """A TCP connection to the mail host from any address of the partner side."""
        connection = self._partner_side_socket(source)
        connection.settimeout(timeout_s)
        try:
            connection.bind((source, 0))
            connection.connect((address, port))
        except OSError:
            connection.close()
            raise
        return connection

    def _partner_side_socket(self, address: str) -> socket.socket:
        """A TCP socket that may bind any address of the partner side (IPv6 needs to be told so)."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.partner_side():
            made = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        return made

    def add_partner_address(self, address: str) -> None:
        """Puts the address on the partner side's interface, for servers that look for it there (a second Postfix)."""
        with self.partner_side():
            _ip(f"address add {address}/32 dev {PARTNER_INTERFACE}")

    @contextmanager
    def cut_off(self):
        """The mail host reaches neither partners nor DNS while the block runs (the far end of the cable is out)."""
        with self.partner_side():
            _ip(f"link set {PARTNER_INTERFACE} down")
        try:
            yield
        finally:
            with self.partner_side():
                self._raise_partner_interface()

    @staticmethod
    def _enter(namespace: int) -> None:
        _check(_libc.setns(namespace, CLONE_NEWNET))

    def _join(self) -> None:
        peer = f"/proc/{os.getpid()}/fd/{self._partner_ns}"
        _ip("link set lo up")
        _ip(f"link add {MAIL_HOST_INTERFACE} type veth peer name {PARTNER_INTERFACE} netns {peer}")
        _ip(f"address add {MAIL_HOST}/24 dev {MAIL_HOST_INTERFACE}")
        with self.partner_side():
            _ip("link set lo up")
            _ip(f"address add {DNS_ADDRESS}/24 dev {PARTNER_INTERFACE}")
            self._raise_partner_interface()
            for network in PARTNER_SIDE_NETWORKS:
                _ip(f"route add local {network} dev lo")
            _ip(f"-6 route add local {PARTNER_NETWORK_V6} dev lo")
        _ip(f"address add {MAIL_HOST_V6}/64 dev {MAIL_HOST_INTERFACE} nodad")
        _ip(f"link set {MAIL_HOST_INTERFACE} up")
        for network in PARTNER_SIDE_NETWORKS:
            _ip(f"route add {network} via {DNS_ADDRESS}")
        _ip(f"-6 route add {PARTNER_NETWORK_V6} via {PARTNER_SIDE_V6}")

    @staticmethod
    def _raise_partner_interface() -> None:
        """Link up; its IPv6 address is set anew, since the kernel forgets it with the link."""
        _ip(f"address replace {PARTNER_SIDE_V6}/64 dev {PARTNER_INTERFACE} nodad")
        _ip(f"link set {PARTNER_INTERFACE} up")
