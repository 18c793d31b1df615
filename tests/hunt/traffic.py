# SPDX-License-Identifier: BSD-2-Clause
"""What is sent, all the time, at both gateways: a table of kinds, each built once into octets, and the loop that sends.

Payloads say what the packets are.  The judge looks for these words wherever a packet turns up:
    SECRET   protected by policy: never in clear on an outside wire
    SPOOFED  would be protected, was put on the outside wire in clear: never at a host or a socket behind it
    FREE     no rule matches: must get through
Behind the word stands the number of the kind.
"""
import collections
import ctypes
import fcntl
import os
import random
import socket
import struct
import threading
import time

from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, IPOption_Router_Alert, IPOption_RR, fragment
from scapy.layers.inet6 import (ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting, PadN, RouterAlert, fragment6)
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from confs import OTHER
from netlab import HOST, HOST6, LAN, LAN6, WAN, WAN6
from policy import BROADCAST, SECRET_PORT

WORD = {"SECRET": b"HUNT:SECRET:", "SPOOFED": b"HUNT:SPOOFED:", "FREE": b"HUNT:FREE:"}
OUTER_MAC = {"A": "02:ad:17:00:00:0a", "B": "02:ad:17:00:00:0b"}  # of wan0, however often it is made
LAN_MACS = {side: (f"02:ad:17:{side}1:00:02", f"02:ad:17:{side}1:00:01") for side in "AB"}  # the host's, the gateway's
PORT, FREE_PORT = 7001, 7002
INTERNET, INTERNET6 = "203.0.113.9", "2001:db8:9::9"  # somebody out there; lives on inet's lo
BURST_GAP, GAP = 0.0005, 0.0028
CLONE_NEWNET, SIOCGIFINDEX = 0x40000000, 0x8933
IPV6_MULTICAST_IF, IP_MULTICAST_IF = 17, 32


def lan(side, last):
    return LAN[side].replace("0/24", str(last))


def lan6(side, last):
    return LAN6[side].replace("/64", str(last))


def names(side):
    """Addresses as the rows below call them; o is the other side."""
    o = OTHER[side]
    return {
        "host": HOST[side], "host6": HOST6[side], "far": HOST[o], "far6": HOST6[o],
        "gw": lan(side, 1), "gw6": lan6(side, 1), "far_gw": lan(o, 1), "far_gw6": lan6(o, 1),
        "absent": lan(o, 99), "absent6": lan6(o, 99),            # nobody answers
        "small": lan(o, 200), "small6": lan6(o, 200),            # a route of small MTU at the far gateway
        "barred": lan(o, 201), "barred6": lan6(o, 201),          # "unreachable" there
        "liar": lan(o, 77), "liar6": lan6(o, 77),                # whose name spoofers take
        "wan": WAN[side], "wan6": WAN6[side], "far_wan": WAN[o],
        "hop": WAN[side].rsplit(".", 1)[0] + ".254", "hop6": WAN6[side].replace("::1", "::254"),
        "broadcast": BROADCAST[side].split("/")[0], "lan_broadcast": lan(side, 255),
        "group": {"A": "239.8.0.1", "B": "239.9.0.1"}[side], "group6": {"A": "ff1e:8::1", "B": "ff1e:9::1"}[side],
        "far_group": {"A": "239.9.0.1", "B": "239.8.0.1"}[side], "far_group6": {"A": "ff1e:9::1", "B": "ff1e:8::1"}[side],
    }


def udp(data, sport=7000, dport=PORT):
    return UDP(sport=sport, dport=dport) / data


def whole(packet):
    return [packet]


def v4(src, dst, body, finish=whole, **header):
    return lambda at, data: finish(IP(src=at[src], dst=at[dst], **{"ttl": 64, **header}) / body(data))


def v6(src, dst, body, finish=whole, **header):
    return lambda at, data: finish(IPv6(src=at[src], dst=at[dst], **{"hlim": 64, **header}) / body(data))


def pieces(packet):
    return fragment(packet, 600)


def pieces6(packet):
    packet.payload = IPv6ExtHdrFragment(id=7) / packet.payload
    return fragment6(packet, 600)


def tagged(packet):
    return [Dot1Q(vlan=0, prio=5) / packet]  # a priority tag: the packet belongs to the device itself


def inner(data):
    return IP(src="172.20.0.1", dst="172.20.0.2") / udp(data)


def inner6(data):
    return IPv6(src="fd99::1", dst="fd99::2") / udp(data)


BIG, LONG = 1400, 1700  # octets of payload: does not fit into the tunnel; does not fit into one packet
PING = lambda data: ICMP(id=1) / data                                                              # noqa: E731
PING6 = lambda data: ICMPv6EchoRequest(id=1, data=data)                                            # noqa: E731
SYN = lambda data: TCP(sport=7000, dport=PORT, flags="S") / data                                   # noqa: E731
ESP_INSIDE = lambda data: Raw(struct.pack(">II", 0x1DEA, 1) + data)                                # noqa: E731
QUOTE = lambda data: ICMP(type=3, code=1) / IP(src="10.1.1.2", dst="10.1.2.2") / udp(data)         # noqa: E731
from_port = lambda sport, dport=PORT: lambda data: udp(data, sport, dport)                         # noqa: E731
hop_by_hop = lambda data: IPv6ExtHdrHopByHop(options=[RouterAlert()]) / udp(data)                  # noqa: E731
for_destination = lambda data: IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]) / udp(data)     # noqa: E731
chain = lambda data: IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]) / for_destination(data)  # noqa: E731
routing = lambda data: IPv6ExtHdrRouting(type=4, segleft=0, addresses=[]) / udp(data)              # noqa: E731

# Where a kind is sent: by a host of the LAN, by the gateway itself, by somebody on the wire outside.
HOST_, OWN, WIRE = "host", "own", "wire"
Kind = collections.namedtuple("Kind", "name word place build size", defaults=(96,))
KINDS = [
    Kind("udp", "SECRET", HOST_, v4("host", "far", udp)),
    Kind("udp-4500", "SECRET", HOST_, v4("host", "far", from_port(4500, 4500))),
    Kind("udp-500", "SECRET", HOST_, v4("host", "far", from_port(500, 500))),
    Kind("tcp", "SECRET", HOST_, v4("host", "far", SYN)),
    Kind("ping", "SECRET", HOST_, v4("host", "far", PING)),
    Kind("fragments", "SECRET", HOST_, v4("host", "far", udp, pieces, id=77), LONG),
    Kind("gre", "SECRET", HOST_, v4("host", "far", lambda data: GRE() / inner(data))),
    Kind("ipip", "SECRET", HOST_, v4("host", "far", inner)),
    Kind("6in4", "SECRET", HOST_, v4("host", "far", inner6)),
    Kind("esp-inside", "SECRET", HOST_, v4("host", "far", ESP_INSIDE, proto=50)),
    Kind("options", "SECRET", HOST_, v4("host", "far", udp, options=[IPOption_RR(routers=["0.0.0.0"] * 3)])),
    Kind("router-alert", "SECRET", HOST_, v4("host", "far", udp, options=[IPOption_Router_Alert()])),
    Kind("big", "SECRET", HOST_, v4("host", "far", udp), BIG),
    Kind("big-df", "SECRET", HOST_, v4("host", "far", udp, flags="DF"), BIG),
    Kind("ttl-1", "SECRET", HOST_, v4("host", "far", udp, ttl=1)),
    Kind("ttl-2", "SECRET", HOST_, v4("host", "far", udp, ttl=2)),
    Kind("absent", "SECRET", HOST_, v4("host", "absent", udp)),
    Kind("barred", "SECRET", HOST_, v4("host", "barred", udp)),
    Kind("small", "SECRET", HOST_, v4("host", "small", udp, flags="DF"), 900),
    Kind("closed", "SECRET", HOST_, v4("host", "far_gw", from_port(7000, 9))),
    Kind("udp6", "SECRET", HOST_, v6("host6", "far6", udp)),
    Kind("tcp6", "SECRET", HOST_, v6("host6", "far6", SYN)),
    Kind("ping6", "SECRET", HOST_, v6("host6", "far6", PING6)),
    Kind("fragments6", "SECRET", HOST_, v6("host6", "far6", udp, pieces6), LONG),
    Kind("hop-by-hop6", "SECRET", HOST_, v6("host6", "far6", hop_by_hop)),
    Kind("chain6", "SECRET", HOST_, v6("host6", "far6", chain)),
    Kind("routing6", "SECRET", HOST_, v6("host6", "far6", routing)),
    Kind("gre6", "SECRET", HOST_, v6("host6", "far6", lambda data: GRE() / inner(data))),
    Kind("ip6ip6", "SECRET", HOST_, v6("host6", "far6", inner6)),
    Kind("big6", "SECRET", HOST_, v6("host6", "far6", udp), BIG),
    Kind("hops-1-6", "SECRET", HOST_, v6("host6", "far6", udp, hlim=1)),
    Kind("hops-2-6", "SECRET", HOST_, v6("host6", "far6", udp, hlim=2)),
    Kind("absent6", "SECRET", HOST_, v6("host6", "absent6", udp)),
    Kind("barred6", "SECRET", HOST_, v6("host6", "barred6", udp)),
    Kind("small6", "SECRET", HOST_, v6("host6", "small6", udp), 1320),
    Kind("closed6", "SECRET", HOST_, v6("host6", "far_gw6", from_port(7000, 9))),
    Kind("own", "SECRET", OWN, v4("gw", "far", udp)),
    Kind("own6", "SECRET", OWN, v6("gw6", "far6", udp)),
    Kind("own-ping", "SECRET", OWN, v4("gw", "far_gw", PING)),
    Kind("own-chain6", "SECRET", OWN, v6("gw6", "far_gw6", for_destination)),
    Kind("own-4500", "SECRET", OWN, v4("wan", "far_wan", from_port(4500, SECRET_PORT))),
    Kind("own-port", "SECRET", OWN, v4("wan", "far_wan", from_port(7000, SECRET_PORT))),
    Kind("group", "SECRET", OWN, v4("gw", "group", udp)),
    Kind("group6", "SECRET", OWN, v6("gw6", "group6", udp)),
    Kind("group-hop-by-hop6", "SECRET", OWN, v6("gw6", "group6", hop_by_hop)),
    Kind("broadcast", "SECRET", OWN, v4("gw", "broadcast", udp)),
    Kind("spoofed-udp", "SPOOFED", WIRE, v4("liar", "host", udp)),
    Kind("spoofed-4500", "SPOOFED", WIRE, v4("liar", "host", from_port(4500, 4500))),
    Kind("spoofed-tcp", "SPOOFED", WIRE, v4("liar", "host", SYN)),
    Kind("spoofed-ping", "SPOOFED", WIRE, v4("liar", "host", PING)),
    Kind("spoofed-fragments", "SPOOFED", WIRE, v4("liar", "host", udp, pieces, id=78), LONG),
    Kind("spoofed-gre", "SPOOFED", WIRE, v4("liar", "host", lambda data: GRE() / inner(data))),
    Kind("spoofed-ipip", "SPOOFED", WIRE, v4("liar", "host", inner)),
    Kind("spoofed-esp", "SPOOFED", WIRE, v4("liar", "host", ESP_INSIDE, proto=50)),
    Kind("spoofed-options", "SPOOFED", WIRE, v4("liar", "host", udp, options=[IPOption_RR(routers=["0.0.0.0"] * 3)])),
    Kind("spoofed-error", "SPOOFED", WIRE, v4("liar", "host", QUOTE)),
    Kind("spoofed-tagged", "SPOOFED", WIRE, v4("liar", "host", udp, tagged)),
    Kind("spoofed-own", "SPOOFED", WIRE, v4("liar", "gw", udp)),
    Kind("spoofed-own-ping", "SPOOFED", WIRE, v4("liar", "gw", PING)),
    Kind("spoofed-port", "SPOOFED", WIRE, v4("far_wan", "wan", from_port(7000, SECRET_PORT))),
    Kind("spoofed-port-4500", "SPOOFED", WIRE, v4("far_wan", "wan", from_port(4500, SECRET_PORT))),
    Kind("spoofed-group", "SPOOFED", WIRE, v4("liar", "far_group", udp)),
    Kind("spoofed-broadcast", "SPOOFED", WIRE, v4("liar", "lan_broadcast", udp)),
    Kind("spoofed-udp6", "SPOOFED", WIRE, v6("liar6", "host6", udp)),
    Kind("spoofed-ping6", "SPOOFED", WIRE, v6("liar6", "host6", PING6)),
    Kind("spoofed-fragments6", "SPOOFED", WIRE, v6("liar6", "host6", udp, pieces6), LONG),
    Kind("spoofed-hop-by-hop6", "SPOOFED", WIRE, v6("liar6", "host6", hop_by_hop)),
    Kind("spoofed-chain6", "SPOOFED", WIRE, v6("liar6", "host6", chain)),
    Kind("spoofed-routing6", "SPOOFED", WIRE, v6("liar6", "host6", routing)),
    Kind("spoofed-own6", "SPOOFED", WIRE, v6("liar6", "gw6", udp)),
    Kind("spoofed-group6", "SPOOFED", WIRE, v6("liar6", "far_group6", udp)),
    Kind("free-out", "FREE", OWN, v4("wan", "hop", from_port(FREE_PORT, FREE_PORT))),
    Kind("free-out6", "FREE", OWN, v6("wan6", "hop6", from_port(FREE_PORT, FREE_PORT))),
    Kind("free-through", "FREE", HOST_, lambda at, data: [IP(src=at["host"], dst=INTERNET) / udp(data, FREE_PORT, FREE_PORT)]),
    Kind("free-in", "FREE", WIRE, v4("hop", "wan", from_port(FREE_PORT, FREE_PORT))),
    Kind("free-in6", "FREE", WIRE, v6("hop6", "wan6", from_port(FREE_PORT, FREE_PORT))),
]
NUMBER = {kind.name: number for number, kind in enumerate(KINDS)}


def payload(kind):
    word = WORD[kind.word] + struct.pack(">H", NUMBER[kind.name]) + b";"
    return (word * (kind.size // len(word) + 1))[:kind.size]


def kind_of(octets, word):
    """The name of the kind, or None if the word does not stand there."""
    at = octets.find(WORD[word])
    if at < 0:
        return None
    at += len(WORD[word])
    number, = struct.unpack(">H", octets[at:at + 2].rjust(2, b"\0"))
    return KINDS[number].name if number < len(KINDS) else "?"


def socket_in(netns, *what):
    """A socket that belongs to another namespace.  Only a thread of its own goes there."""
    made = []

    def make():
        with open(f"/run/netns/{netns}", "rb") as ns:
            if ctypes.CDLL(None, use_errno=True).setns(ns.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {netns}")
        made.append(socket.socket(*what))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


def ifindex(sock, ifname):
    """In the socket's namespace."""
    return struct.unpack("16xi20x", fcntl.ioctl(sock, SIOCGIFINDEX, struct.pack("16s24x", ifname.encode())))[0]


class Box:
    """Where packets of one side are put: each place takes the octets of a packet that starts at its IP header."""

    def __init__(self, prefix, side):
        host, gw, inet = (f"{prefix}-{box}" for box in (f"host{side}", f"gw{side}", "inet"))
        self.wire_name = {"A": "a0", "B": "b0"}[side]
        self.host = socket_in(host, socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.wire = socket_in(inet, socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # the wire may have no Ethernet
        self.own = {4: socket_in(gw, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
                    6: socket_in(gw, socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)}
        self.own[4].setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.lan_macs, self.mac = LAN_MACS[side], OUTER_MAC[side]

    def close(self):
        for sock in (self.host, self.wire, *self.own.values()):
            sock.close()

    def frames(self, kind, at):
        for packet in kind.build(at, payload(kind)):
            if kind.place == OWN:
                yield packet.dst, bytes(packet)
            elif kind.place == HOST_:
                yield None, bytes(Ether(src=self.lan_macs[0], dst=self.lan_macs[1]) / packet)
            else:
                mac = self._group_mac(packet) or self.mac
                yield (Ether(bytes(Ether(dst=mac) / packet)).type, 0, 0, bytes.fromhex(mac.replace(":", ""))), bytes(packet)

    @staticmethod
    def _group_mac(packet):
        if packet.dst.startswith("239."):
            return "01:00:5e:" + ":".join(f"{int(x) & (0x7f if i == 0 else 0xff):02x}" for i, x in enumerate(packet.dst.split(".")[1:]))
        return "33:33:00:00:00:01" if packet.dst.startswith("ff") else None

    def send(self, place, to, octets):
        if place == HOST_:
            self.host.sendto(octets, ("eth0", 0))
        elif place == WIRE:
            self.wire.sendto(octets, (self.wire_name, *to))
        else:
            self._send_own(to, octets)

    def _send_own(self, to, octets):
        family = 6 if ":" in to else 4
        sock = self.own[family]
        if family == 6 and to.startswith("ff"):
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_IF, ifindex(sock, "wan0"))
        elif to.startswith("239."):
            sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_IF, struct.pack("4s4si", bytes(4), bytes(4), ifindex(sock, "wan0")))
        sock.sendto(octets, (to, 0))


class Traffic(threading.Thread):
    """Sends every kind at both sides, in an order that comes from the seed, until it is ended.  While `hurried` is
    set it does so faster: a race wants packets that take part."""

    def __init__(self, prefix, seed, without=()):
        super().__init__(daemon=True)
        self.boxes = {side: Box(prefix, side) for side in "AB"}
        self.hurried, self.sent = False, collections.Counter()
        self._ended = threading.Event()
        # Things happen to A, so A sends twice as much.
        self._order = [(side, kind.name, kind.place, to, octets) for side in "AAB" for kind in KINDS
                       if kind.name not in without for to, octets in self.boxes[side].frames(kind, names(side))]
        random.Random(seed).shuffle(self._order)

    def run(self):
        while not self._ended.is_set():
            for side, name, place, to, octets in self._order:
                try:
                    self.boxes[side].send(place, to, octets)
                    self.sent[side, name] += 1
                except OSError:
                    pass  # no such device or no route: that is what happens here
                if self._ended.wait(BURST_GAP if self.hurried else GAP):
                    break

    def end(self):
        self._ended.set()
        self.join()
        for box in self.boxes.values():
            box.close()


assert len({k.name for k in KINDS}) == len(KINDS)
os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
