# SPDX-License-Identifier: BSD-2-Clause
"""Multicast under a permit rule: protected on its way out, not let in in clear.  What stays on its link passes."""
import pytest

from confs import adit_conf, files
from netlab import PYTHON, wait_for

# Inwards a group is our side, so a rule that protects what comes to it says so the other way round.
ACL = {"A": "5 permit ip 10.1.1.0/24 -> 239.1.0.0/16; 6 permit ip 239.1.0.0/16 -> 10.1.2.0/24;"
            "7 permit ip fd00:1:1::/64 -> ff1e::/16; 8 permit ip ff1e::/16 -> fd00:1:2::/64;"
            "9 permit ip 10.1.1.0/24 -> 10.1.2.0/24",
       "B": "5 permit ip 239.1.0.0/16 -> 10.1.1.0/24; 6 permit ip 10.1.2.0/24 -> 239.1.0.0/16;"
            "7 permit ip ff1e::/16 -> fd00:1:1::/64; 8 permit ip fd00:1:2::/64 -> ff1e::/16;"
            "9 permit ip 10.1.2.0/24 -> 10.1.1.0/24"}
GROUP = {4: "239.1.1.1", 6: "ff1e::4242"}  # protected
OTHER = {4: "239.2.1.1", 6: "ff0e::4242"}  # of no rule
LINK = {4: "224.0.0.251", 6: "ff02::fb"}  # exempt
OURS = {4: "10.1.1.1", 6: "fd00:1:1::1"}
FAR = {4: "10.1.2.2", 6: "fd00:1:2::2"}
PORT = 5399

SEND = """
import socket, sys, time
source, group, ifname, n = sys.argv[1:]
six = ":" in group
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
i = socket.if_nametoindex(ifname)
if six:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, i)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 8)
else:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + i.to_bytes(4, sys.byteorder))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
s.bind((source, 0))
for _ in range(int(n)):
    s.sendto(b"a secret of the group", (group, %d))
    time.sleep(.05)
""" % PORT

# As a stranger on the wire would: any source.
FORGE = """
import socket, sys
from scapy.all import Ether, IP, IPv6, UDP, Raw, sendp
source, group, ifname, n = sys.argv[1:]
if ":" in group:
    mac, ip = "33:33:%02x:%02x:%02x:%02x" % tuple(socket.inet_pton(socket.AF_INET6, group)[12:]), IPv6(src=source, dst=group, hlim=8)
else:
    o = socket.inet_aton(group)
    mac, ip = "01:00:5e:%02x:%02x:%02x" % (o[1] & 127, o[2], o[3]), IP(src=source, dst=group, ttl=8)
sendp(Ether(dst=mac) / ip / UDP(sport=9, dport={port}) / Raw(b"a lie"), iface=ifname, count=int(n), verbose=False)
""".replace("{port}", str(PORT))

# Joins on wan0 and writes a line for each datagram: its group.
LISTEN = """
import select, socket, sys
groups, ifname = sys.argv[1].split(","), sys.argv[2]
i, all_of = socket.if_nametoindex(ifname), {}
for g in groups:
    six = ":" in g
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if six:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, g) + i.to_bytes(4, sys.byteorder))
    else:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(g) + bytes(4) + i.to_bytes(4, sys.byteorder))
    s.bind((g, %d, 0, i) if six else (g, %d))
    all_of[s] = g
print("joined", flush=True)
while True:
    for s in select.select(list(all_of), [], [])[0]:
        s.recv(2000)
        print(all_of[s], flush=True)
""" % (PORT, PORT)


def counted(gateway):
    return {c["name"]: c["count"] for c in gateway.json("show", "statistics")["counters"] if c["room"] == "bpf"}


@pytest.fixture
def gateways(aditd):
    b = aditd("gwB", adit_conf("B", acl=ACL["B"]), files())
    a = aditd("gwA", adit_conf("A", acl=ACL["A"]), files())
    return a, b


@pytest.mark.parametrize("family", [4, 6])
def test_a_protected_group_leaves_as_esp_only(lab, gateways, capture, family):
    a, b = gateways
    middle = capture("inet", "a0", f"esp or udp port {PORT}")
    lab.run("gwA", PYTHON, "-c", SEND, OURS[family], GROUP[family], "wan0", 5)
    wait_for("the other gateway opens them", lambda: sum(
        c["count"] for c in b.json("show", "statistics")["counters"] if c["name"] in ("opened-kernel", "opened-fast")) >= 5)
    assert counted(a)["to-internal"] >= 5
    assert set(middle.names()) == {"esp"}, "the group in clear"
    # Where no rule is asked, and where none matches, nothing has changed.
    wire = capture("inet", "a0", f"udp port {PORT}")
    lab.run("gwA", PYTHON, "-c", SEND, OURS[family], LINK[family], "wan0", 3)
    lab.run("gwA", PYTHON, "-c", SEND, OURS[family], OTHER[family], "wan0", 3)
    assert sum(wire.names().values()) == 6
    assert counted(a)["pass-link-local"] >= 3


@pytest.mark.parametrize("family", [4, 6])
def test_a_protected_group_does_not_come_in_in_clear(lab, gateways, family):
    a, _ = gateways
    listener = lab.start("gwA", "listener.log", PYTHON, "-c", LISTEN,
                         ",".join((GROUP[family], OTHER[family], LINK[family])), "wan0")
    heard = lambda: (lab.dir / "listener.log").read_text().split()
    wait_for("it has joined", lambda: "joined" in heard())
    before = counted(a)
    lab.run("inet", PYTHON, "-c", FORGE, FAR[family], GROUP[family], "a0", 5)
    wait_for("they are dropped", lambda: counted(a)["drop-front-recheck"] >= before["drop-front-recheck"] + 5)
    lab.run("inet", PYTHON, "-c", FORGE, FAR[family], OTHER[family], "a0", 3)
    lab.run("inet", PYTHON, "-c", FORGE, FAR[family], LINK[family], "a0", 3)
    wait_for("others arrive", lambda: heard().count(OTHER[family]) == 3 and heard().count(LINK[family]) == 3)
    assert GROUP[family] not in heard()
    assert listener.poll() is None
