# SPDX-License-Identifier: BSD-2-Clause
"""ICMP errors about protected packets go through the tunnel, whoever makes them, and nothing of them goes beside it."""
import re

import pytest

from confs import adit_conf, files, swanctl_conf
from netlab import HOST, HOST6, LAN, LAN6, PYTHON, WAN, WAN6, wait_for

HOSTS = {4: HOST, 6: HOST6}
LANS = {4: LAN, 6: LAN6}
GATEWAY = {4: "10.1.1.1", 6: "fd00:1:1::1"}  # gwA, inside
NEAR = {4: "10.1.2.1", 6: "fd00:1:2::1"}  # gwB, inside
ABSENT = {4: "10.1.1.99", 6: "fd00:1:1::99"}
BEHIND = {4: "10.1.1.200", 6: "fd00:1:1::200"}  # routed to hostA, which has no way to it
STRANGE = {4: "172.16.9.1", 6: "fd00:99::1"}  # hostA's, and no rule covers it
SMALL = 1300  # octets that the far LAN's link takes

EXCEEDED = "Time to live exceeded|Time exceeded: Hop limit"
UNREACHABLE = "Destination Host Unreachable|Destination unreachable: (Address unreachable|No route)"


def outside_source(lab):
    """The kernel's own choice for IPv4: errors have the address of the policy interface."""
    lab.run("gwA", "ip", "-6", "route", "replace", "default", "via", "2001:db8:a::254", "src", WAN6["A"])


def both(aditd, family, **conf):
    return [aditd(f"gw{side}", adit_conf(side, inner=family, **conf), files()) for side in "BA"]


def drops(gateway):
    counters = gateway.json("show", "statistics")["counters"]
    return {c["name"]: c["count"] for c in counters if c["name"].startswith("drop-icmp") and c["count"]}


def told(lab, to, sentence, by, *more):
    """A ping of hostB's is answered by that router with that sentence; the kernel makes few errors a second."""
    def asked():
        done = lab.run("hostB", "ping", "-n", "-c", 1, "-w", 8, *more, to, check=False, timeout=20)
        return re.search(rf"From {re.escape(by)} icmp_seq=\d+ ({sentence})", done.stdout)
    return wait_for(f"{by} tells hostB: {sentence}", asked, 40)


def traceroute(lab, family):
    for ttl, router in ((1, NEAR[family]), (2, GATEWAY[family])):
        told(lab, HOSTS[family]["A"], EXCEEDED, router, "-t", ttl)
    assert lab.ping("hostB", HOSTS[family]["A"], 1, 56, 5, "-t", 3) == 1


def small_far_lan(lab):
    """hostA behind a link of 1300 octets that says in its TCP SYNs that it takes more."""
    for box, ifname in (("gwA", "lan0"), ("hostA", "eth0")):
        lab.run(box, "ip", "link", "set", ifname, "mtu", SMALL)
    for family in (4, 6):
        lab.run("hostA", "ip", f"-{family}", "route", "replace", "default", "via", GATEWAY[family], "advmss", 1400)


def strange_router(lab):
    """hostA is a router with an address of its own, and does not know the way to BEHIND."""
    for family, length in ((4, 32), (6, 128)):
        ip = ("ip", f"-{family}")
        lab.run("hostA", *ip, "addr", "add", f"{STRANGE[family]}/{length}", "dev", "lo")
        lab.run("hostA", *ip, "route", "replace", "default", "via", GATEWAY[family], "src", STRANGE[family])
        lab.run("hostA", *ip, "route", "add", "unreachable", f"{BEHIND[family]}/{length}")
        lab.run("gwA", *ip, "route", "add", f"{BEHIND[family]}/{length}", "via", HOSTS[family]["A"])
    lab.run("hostA", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    for ifname in ("all", "lan0", "wan0"):
        lab.run("gwA", "sysctl", "-qw", f"net.ipv4.conf.{ifname}.rp_filter=0")
        lab.run("gwB", "sysctl", "-qw", f"net.ipv4.conf.{ifname}.rp_filter=0")


def route_mtu(lab, family):
    told_mtu = re.search(r"mtu (\d+)", lab.run("hostB", "ip", "route", "get", HOSTS[family]["A"]).stdout)
    return told_mtu and int(told_mtu[1])


SEND_TO = """
import socket, sys
kind, to, port = sys.argv[1:]
s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET,
                  socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(8)
try:
    s.connect((to, int(port)))
    s.send(b"SECRET!")
    s.recv(100)
except OSError as e:
    print(e.__class__.__name__, e.errno)
"""


def send(lab, kind, to, port):
    """What a socket of hostB says of it."""
    return lab.run("hostB", PYTHON, "-c", SEND_TO, kind, to, port).stdout.split()


@pytest.mark.parametrize("fast_path", ["on", "off"])
@pytest.mark.parametrize("family", [4, 6])
def test_the_far_gateway_and_its_lan_tell_the_sender(lab, aditd, capture, family, fast_path):
    strange_router(lab)
    outside_source(lab)
    gateways = both(aditd, family, inside=f"fast-path {fast_path}")
    assert lab.ping("hostB", HOSTS[family]["A"], 3, 56, 5) == 3
    wires = [capture("inet", "a0"), capture("inet", "b0")]
    traceroute(lab, family)
    told(lab, ABSENT[family], UNREACHABLE, GATEWAY[family])
    told(lab, BEHIND[family], UNREACHABLE, STRANGE[family])
    wait_for("port unreachable", lambda: "ConnectionRefusedError" in send(lab, "udp", GATEWAY[family], 9), 30)
    for wire in wires:
        wire.assert_only_ipsec()
    for gateway in gateways:
        assert not drops(gateway)


@pytest.mark.parametrize("fast_path", ["on", "off"])
@pytest.mark.parametrize("family", [4, 6])
def test_path_mtu_of_the_far_lan(lab, aditd, capture, family, fast_path):
    small_far_lan(lab)
    outside_source(lab)
    both(aditd, family, inside=f"fast-path {fast_path}")
    assert lab.ping("hostB", HOSTS[family]["A"], 3, 56, 5) == 3
    wires = [capture("inet", "a0"), capture("inet", "b0")]
    assert lab.ping("hostB", HOSTS[family]["A"], 1, 1350, 2, "-M", "do") == 0
    assert wait_for("hostB knows the path MTU", lambda: lab.ping("hostB", HOSTS[family]["A"], 1, 1350, 1, "-M", "do")
                    or route_mtu(lab, family), 20) == SMALL
    lab.run("hostB", "ip", "route", "flush", "cache")
    lab.run("hostB", "ip", "-6", "route", "flush", "cache")
    assert lab.iperf("hostB", "hostA", HOSTS[family]["A"], 2) > 1e6
    assert route_mtu(lab, family) == SMALL, "TCP learned it too"
    for wire in wires:
        wire.assert_only_ipsec()


@pytest.mark.parametrize("family", [4, 6])
def test_errors_about_a_rule_for_tcp_alone(lab, aditd, capture, family):
    outside_source(lab)
    other = {"A": "B", "B": "A"}
    gateways = [aditd(f"gw{side}", adit_conf(side, inner=family, acl=f"5 permit tcp {LANS[family][side]} -> "
                                             f"{LANS[family][other[side]]}"), files()) for side in "BA"]
    wires = [capture("inet", "a0"), capture("inet", "b0")]
    assert lab.iperf("hostB", "hostA", HOSTS[family]["A"], 1) > 1e6
    wait_for("host unreachable", lambda: send(lab, "tcp", ABSENT[family], 80) == ["OSError", "113"], 40)
    for wire in wires:
        wire.assert_only_ipsec()
    for gateway in gateways:
        assert not drops(gateway)


@pytest.mark.parametrize("family", [4, 6])
def test_the_source_follows_the_address(lab, aditd, family):
    outside_source(lab)
    a = both(aditd, family)[1]
    assert lab.ping("hostB", HOSTS[family]["A"], 3, 56, 5) == 3
    told(lab, HOSTS[family]["A"], EXCEEDED, GATEWAY[family], "-t", 2)
    length, other = {4: (24, "10.1.1.77"), 6: (64, "fd00:1:1::77")}[family]
    lab.run("gwA", "ip", "addr", "del", f"{GATEWAY[family]}/{length}", "dev", "lan0")
    lab.run("gwA", "ip", "addr", "add", f"{other}/{length}", "dev", "lan0", *(["nodad"] if family == 6 else []))
    told(lab, HOSTS[family]["A"], EXCEEDED, other, "-t", 2)
    assert not drops(a)


def test_without_an_sa_the_error_waits_for_one(lab, aditd, adit, capture):
    """The far side's packet came, and then its SA went: the answer makes a new one."""
    _, a = both(aditd, 4)
    assert lab.ping("hostB", HOST["A"], 3, 56, 5) == 3
    wires = [capture("inet", "a0"), capture("inet", "b0")]
    lab.start("hostB", "absent.log", "ping", "-n", "-c", 1, "-w", 20, ABSENT[4])
    wait_for("gwA looks for it", lambda: ABSENT[4] in lab.run("gwA", "ip", "neigh").stdout, 5, 0.02)
    a.command("down", "gwB")
    log = lab.dir / "absent.log"
    wait_for("hostB is told", lambda: f"From {GATEWAY[4]} " in log.read_text(), 20)
    assert adit("gwA", "show sa")["sas"]
    for wire in wires:
        wire.assert_only_ipsec()


def test_what_comes_from_the_internet(lab, aditd, capture):
    """An error in clear about a protected flow is forged; one about any other passes, as does what is said of our ESP."""
    a = both(aditd, 4)[1]
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    inside = capture("hostA", "eth0", "icmp[icmptype] == icmp-unreach")
    forge = f"""
from scapy.all import *
conf.verb = 0
for quote in (IP(src="{HOST['A']}", dst="{HOST['B']}") / TCP(), IP(src="{HOST['B']}", dst="{HOST['A']}") / UDP(),
              IP(src="{HOST['A']}", dst="203.0.113.9") / TCP()):
    send(IP(src="192.0.2.254", dst="{HOST['A']}") / ICMP(type=3, code=4, nexthopmtu=600) / quote, iface="a0")
"""
    lab.run("inet", "ip", "route", "add", LAN["A"], "via", WAN["A"])
    lab.run("inet", PYTHON, "-c", forge)
    wait_for("both were counted", lambda: drops(a).get("drop-icmp-forged") == 2, 5)
    assert inside.names()["icmp"] == 1


@pytest.mark.parametrize("fast_path", ["on", "off"])
def test_strongswan_receives_them(lab, aditd, charon, capture, fast_path):
    """It knows no quotes, but the gateway's own errors have a source that the SA selects."""
    small_far_lan(lab)
    charon("gwB", swanctl_conf("B"))
    aditd("gwA", adit_conf("A", inside=f"fast-path {fast_path}"), files())
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    wires = [capture("inet", "a0"), capture("inet", "b0")]
    traceroute(lab, 4)
    told(lab, ABSENT[4], UNREACHABLE, GATEWAY[4])
    wait_for("port unreachable", lambda: "ConnectionRefusedError" in send(lab, "udp", GATEWAY[4], 9), 30)
    assert wait_for("hostB knows the path MTU", lambda: lab.ping("hostB", HOST["A"], 1, 1350, 1, "-M", "do")
                    or route_mtu(lab, 4), 20) == SMALL
    for wire in wires:
        wire.assert_only_ipsec()
