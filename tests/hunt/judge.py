# SPDX-License-Identifier: BSD-2-Clause
"""Sees every packet on every outside wire and at everything behind the gateways, and says which had no business there.

It asks nothing of Adit: packets tell what they are by the words of traffic.py and by their addresses.  Its sockets
belong to namespaces, not to devices, so what comes over a device made a microsecond ago is seen as well.
"""
import collections
import contextlib
import select
import socket
import struct
import threading
import time

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from policy import SECRET_PORT, is_protected
from traffic import FREE_PORT, PORT, WORD, ifindex, kind_of, names, socket_in

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
PACKET_OUTGOING = 4
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
ROOM = 64 << 20  # octets that may wait while this process does not run
ICMP_ERRORS, ICMPV6_ERRORS = {3, 4, 5, 11, 12}, range(1, 128)
STILL, JOIN_EVERY = 0.05, 0.2
AT_ONCE = 256

# way: "out" (left in clear), "in" (clear packet was let in), "answered" (to what should not have been let in)
Finding = collections.namedtuple("Finding", "time way where kind packet")


def addresses(octets, protocol):
    """(source, destination, octets of an ICMP error's quote or b"") of an IP packet."""
    if protocol == ETH_P_IP and len(octets) >= 20:
        body = octets[(octets[0] & 15) * 4:]
        later = int.from_bytes(octets[6:8], "big") & 0x1FFF
        error = octets[9] == 1 and not later and body[:1] and body[0] in ICMP_ERRORS
        return octets[12:16], octets[16:20], body[8:] if error else b""
    if protocol == ETH_P_IPV6 and len(octets) >= 40:
        body = octets[40:]
        error = octets[6] == 58 and body[:1] and body[0] in ICMPV6_ERRORS
        return octets[8:24], octets[24:40], body[8:] if error else b""
    return None


def of_protected_flow(octets, protocol):
    """By its addresses, or those of the packet that it quotes."""
    found = addresses(octets, protocol)
    if not found:
        return False
    source, destination, quote = found
    return is_protected(source, destination) or bool(quote) and of_protected_flow(quote, protocol)


def described(octets, protocol):
    try:
        text = {ETH_P_IP: IP, ETH_P_IPV6: IPv6}[protocol](octets).summary()
    except Exception:  # noqa: BLE001  (whatever scapy thinks of it, it has to be shown)
        text = f"protocol {protocol:#06x}"
    return f"{text}, {len(octets)} octets"


class Judge(threading.Thread):
    def __init__(self, prefix):
        super().__init__(daemon=True)
        self.findings, self.exempted = [], collections.Counter()
        self.counts = collections.Counter()  # of findings, by way, where and kind
        self.latest = 0.0                    # finding
        self.last = {}                       # (box, kind): when it was last seen where it should be
        self.looked_at = 0
        self._exempt = []                    # [way, since, until]
        self._judged_until = 0.0
        self._ended = threading.Event()
        self._poll, self._by_fd, self._wire_sockets, self._group_sockets = select.epoll(), {}, [], []
        for box, see in (("inet", self._on_wire), ("hostA", self._at_host), ("hostB", self._at_host)):
            sock = socket_in(f"{prefix}-{box}", socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            self._wire_sockets.append((box, sock))
            self._watch(sock, box, see)
        for side in "AB":
            self._open_ports(prefix, side)

    def _open_ports(self, prefix, side):
        """What reaches the gateway's own sockets."""
        box = f"gw{side}"
        for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for port in (PORT, FREE_PORT, SECRET_PORT):
                sock = socket_in(f"{prefix}-{box}", family, socket.SOCK_DGRAM)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((any_address, port))
                self._watch(sock, box, self._at_socket)
                if port == PORT:
                    self._group_sockets.append((side, family, sock))

    def _watch(self, sock, box, see):
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setblocking(False)
        self._poll.register(sock, select.EPOLLIN)
        self._by_fd[sock.fileno()] = sock, box, see

    # ---- the loop ---------------------------------------------------------------------------

    def run(self):
        groups_at = 0
        while not self._ended.is_set():
            began = time.time()
            ready = self._poll.poll(STILL)
            if all([self._read(*self._by_fd[fd]) for fd, _ in ready]):
                self._judged_until = began
            if began > groups_at:
                groups_at = began + JOIN_EVERY
                self._join_groups()

    def _read(self, sock, box, see):
        """True: it was read to its end."""
        for _ in range(AT_ONCE):
            try:
                octets, more, _, address = sock.recvmsg(65536, 64)
            except BlockingIOError:
                return True
            self.looked_at += 1
            see(octets, address, self._time(more), box)
        return False

    @staticmethod
    def _time(more):
        """By the kernel's clock, when it came."""
        for level, what, value in more:
            if level == socket.SOL_SOCKET and what == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", value)
                return seconds + nanoseconds / 1e9
        return time.time()

    def _join_groups(self):
        """A new wan0 has forgotten who listens there."""
        for side, family, sock in self._group_sockets:
            at = names(side)
            with contextlib.suppress(OSError):
                index = ifindex(sock, "wan0")
                if family == socket.AF_INET:
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                    struct.pack("4s4si", socket.inet_aton(at["far_group"]), bytes(4), index))
                else:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                                    struct.pack("16si", socket.inet_pton(family, at["far_group6"]), index))

    # ---- opinions ---------------------------------------------------------------------------

    def _on_wire(self, octets, address, when, box):
        """What the Internet receives.  What it sends are spoofed packets and what it forwards, seen as it came."""
        ifname, protocol, direction = address[0] or "a wire that is gone", *address[1:3]
        if direction == PACKET_OUTGOING or ifname == "lo":
            return
        if kind := kind_of(octets, "SECRET"):
            self._found(when, "out", ifname, kind, octets, protocol)
        elif kind := kind_of(octets, "SPOOFED"):
            self._found(when, "answered", ifname, kind, octets, protocol)
        elif of_protected_flow(octets, protocol):
            self._found(when, "out", ifname, "by its addresses", octets, protocol)
        elif kind := kind_of(octets, "FREE"):
            self.last[ifname, kind] = when

    def _at_host(self, octets, address, when, box):
        if address[2] == PACKET_OUTGOING:
            return
        if kind := kind_of(octets, "SPOOFED"):
            self._found(when, "in", box, kind, octets, address[1])
        elif kind := kind_of(octets, "SECRET"):
            self.last[box, kind] = when

    def _at_socket(self, octets, address, when, box):
        if kind := kind_of(octets, "SPOOFED"):
            self._found(when, "in", f"a socket of {box}", kind, octets, None)
        elif kind := kind_of(octets, "FREE"):
            self.last[box, kind] = when

    def _found(self, when, way, where, kind, octets, protocol):
        for exempt_way, why, since, until in self._exempt:
            if way == exempt_way and since <= when <= (until or when):
                self.exempted[why] += 1
                return
        if not self.counts[way, where, kind]:
            packet = described(octets, protocol) if protocol else f"{len(octets)} octets of UDP"
            self.findings.append(Finding(when, way, where, kind, packet))
        self.counts[way, where, kind] += 1
        self.latest = max(self.latest, when)

    # ---- for the walk -----------------------------------------------------------------------

    @contextlib.contextmanager
    def exempt(self, why, *ways):
        """For the time of a documented exception; how long it lasts is the walk's to judge."""
        rows = [[way, why, time.time(), None] for way in ways]
        self._exempt += rows
        try:
            yield
        finally:
            for row in rows:
                row[3] = time.time()

    def settled(self, timeout=20):
        """Returns when everything that came until now has been judged."""
        now = time.time()
        deadline = time.monotonic() + timeout
        while self._judged_until < now:
            if time.monotonic() > deadline:
                raise RuntimeError("the judge does not keep up with the traffic")
            time.sleep(0.01)

    def lost(self):
        """Packets that the kernel could not keep for us: then nothing that was said counts."""
        return sum(struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1] for _, sock in self._wire_sockets)

    def end(self):
        self._ended.set()
        self.join()
        for sock, _, _ in self._by_fd.values():
            sock.close()
        self._poll.close()
