# SPDX-License-Identifier: BSD-2-Clause
"""ESP that no XDP program can take: in fragments, or by an interface without Ethernet.  It goes through the kernel, ike
and the slow door of the worker, and must not be treated more kindly there."""
import os
import signal
import struct

import pytest

from confs import adit_conf, files
from netlab import HERE, HOST, HOST6, PYTHON, WAN, wait_for

NARROW = 1200
FORCE = {"raw": "", "udp": "nat-traversal force"}


def counters(gateway):
    return {c["name"]: c["count"] for c in gateway.json("show", "statistics")["counters"]}


def only_ipsec_in_pieces(capture):
    """Its counts; and that there were fragments."""
    names = capture.assert_only_ipsec()
    assert names["fragment"] > 10, dict(names)
    return names


@pytest.mark.parametrize("esp", ["raw", "udp"])
def test_a_router_fragments_esp_on_its_way(lab, aditd, adit, capture, esp):
    b = aditd("gwB", adit_conf("B", peer=FORCE[esp], interface="df-bit clear"), files())
    a = aditd("gwA", adit_conf("A", peer=FORCE[esp], interface="df-bit clear"), files())
    for net, ifname in (("192.0.2.0/24", "a0"), ("198.51.100.0/24", "b0")):  # what the router receives may be larger
        lab.run("inet", "ip", "route", "replace", net, "dev", ifname, "mtu", "lock", NARROW)
    middle = capture("inet", "b0")
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    assert lab.ping("hostA", HOST["B"], 20, 1300, 2) == 20
    assert lab.ping("hostB", HOST["A"], 20, 1300, 2, "-M", "do") == 20
    assert lab.ping("hostB", HOST["A"], 3, 4000, 2, "-M", "dont") == 3
    names = only_ipsec_in_pieces(middle)
    assert names["udp-esp" if esp == "udp" else "esp"] > 80 and not names["esp" if esp == "udp" else "udp-esp"]
    assert lab.iperf("hostA", "hostB", HOST["B"]) > 1e6
    assert lab.iperf("hostB", "hostA", HOST["A"]) > 1e6
    for gateway in (a, b):
        counted = counters(gateway)
        assert counted["pass-fragment"] > 80 and counted["esp-handed-on"] > 40
        assert not counted["esp-unknown-spi"] + counted["esp-malformed"] + counted["esp-elsewhere"] + counted["drop-too-long"]
        assert not counted["drop-integrity"] + counted["drop-stale-sa"] + counted["drop-no-note"] + counted["peer-moved"]
        assert "no such SA" not in gateway.text()
    assert not sum(s["integrity_drops"] + s["selector_drops"] for s in adit("gwB", "show sa")["sas"])
    # What a router says about its queue comes along: here something that the inner packet cannot carry.
    lab.run("inet", "nft", "add table inet ecn0; add chain inet ecn0 forward { type filter hook forward priority 0; };"
            "add rule inet ecn0 forward ip ecn set ce")
    assert lab.ping("hostA", HOST["B"], 5, 1300) == 0
    assert counters(b)["drop-ecn"] >= 5


@pytest.mark.parametrize("esp", ["raw", "udp"])
def test_a_gateway_fragments_its_own_esp(lab, aditd, capture, esp):
    """IPv6 of no more than 1280 octets must get through, and its envelope does not fit."""
    b = aditd("gwB", adit_conf("B", inner=6, peer=FORCE[esp], interface="mtu 1280"), files())
    aditd("gwA", adit_conf("A", inner=6, peer=FORCE[esp], interface="mtu 1280"), files())
    for box in ("gwA", "gwB"):
        lab.run(box, "ip", "route", "replace", "default", "via", "192.0.2.254" if box == "gwA" else "198.51.100.254", "mtu", "lock", 1280)
    middle = capture("inet", "b0")
    assert lab.ping("hostA", HOST6["B"], 3, 56, 5) == 3
    assert lab.ping("hostA", HOST6["B"], 20, 1280 - 48, 2) == 20
    assert lab.ping("hostB", HOST6["A"], 20, 1280 - 48, 2) == 20
    only_ipsec_in_pieces(middle)
    counted = counters(b)
    assert counted["pass-fragment"] >= 80 and counted["esp-handed-on"] >= 40 and not counted["esp-unknown-spi"]


@pytest.mark.parametrize("esp", ["raw", "udp"])
def test_an_uplink_without_ethernet_receives(lab, aditd, adit, capture, esp):
    """As ppp would."""
    lab.start("inet", "tunwire.log", PYTHON, HERE / "tunwire.py", "up0", f"{lab.prefix}-gwA", f"{lab.prefix}-inet")
    wait_for("the wire is there", lambda: "ready" in (lab.dir / "tunwire.log").read_text(), 5)
    for box, address in (("gwA", "203.0.113.1/30"), ("inet", "203.0.113.2/30")):
        lab.run(box, "ip", "link", "set", "up0", "up")
        lab.run(box, "ip", "addr", "add", address, "dev", "up0")
    lab.run("gwA", "ip", "route", "replace", "default", "dev", "up0")
    b = aditd("gwB", adit_conf("B", remote="203.0.113.1", peer=FORCE[esp]), files())
    a = aditd("gwA", adit_conf("A", peer=FORCE[esp]).replace("wan0", "up0"), files())
    middle = capture("inet", "b0")
    assert lab.ping("hostA", HOST["B"], 10, 56, 5) == 10
    assert lab.ping("hostB", HOST["A"], 10, 1000, 5) == 10
    assert lab.iperf("hostA", "hostB", HOST["B"]) > 1e6
    assert lab.iperf("hostB", "hostA", HOST["A"]) > 1e6
    middle.assert_only_ipsec()
    counted = counters(a)
    assert counted["pass-slow-esp"] > 100 and counted["esp-handed-on"] > 100
    assert not counters(b)["esp-handed-on"], "a fast port has no use for the door"
    if esp == "udp":
        return
    # The port by which it came is part of what must be right.
    spi = next(int(s["spi"], 16) for s in adit("gwA", "show sa")["sas"] if s["direction"] == "in")
    lab.run("hostA", PYTHON, "-c", SEND, "10.1.1.1", struct.pack(">II", spi, 1).hex() + "00" * 64)
    wait_for("counted", lambda: counters(a)["esp-elsewhere"] == 1, 3)


SEND = ("import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_RAW,50)\n"
        "s.sendto(bytes.fromhex(sys.argv[2]),(sys.argv[1],0))\n")

# Every packet of a file in two pieces.
CUT = """
import socket,struct,sys
s=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_RAW); d=open(sys.argv[1],'rb').read(); i=0; n=1000
while i<len(d):
  l,=struct.unpack_from('>H',d,i); p=d[i+2:i+2+l]; i+=2+l; n+=1
  for more,off,part in ((1,0,p[20:52]),(0,4,p[52:])):
    s.sendto(p[:2]+bytes(2)+struct.pack('>HH',n,more<<13|off)+p[8:20]+part,(sys.argv[2],0))
"""


def test_strangers_at_the_door(lab, aditd, adit, capture):
    b = aditd("gwB", adit_conf("B"), files())
    aditd("gwA", adit_conf("A"), files())
    wire = capture("inet", "b0", "esp and src host 192.0.2.1")
    assert lab.ping("hostA", HOST["B"], 5, 56, 5) == 5
    frames = [bytes(f.payload) for f in wire.frames()]
    forged = [f[:24] + struct.pack(">I", 100000 + i) + f[28:] for i, f in enumerate(frames)]
    again = lab.dir / "again.bin"
    again.write_bytes(b"".join(struct.pack(">H", len(f)) + f for f in frames + forged))
    lab.run("inet", PYTHON, "-c", CUT, again, WAN["B"])

    def inbound():
        return next(s for s in adit("gwB", "show sa")["sas"] if s["direction"] == "in")

    wait_for("replays are dropped", lambda: inbound()["replay_drops"] == len(frames), 3)
    wait_for("forgeries are dropped", lambda: inbound()["integrity_drops"] == len(forged), 3)
    assert counters(b)["esp-handed-on"] == len(frames + forged)

    spi = struct.pack(">II", int(inbound()["spi"], 16), 7).hex()
    for octets, name in ((spi + "00" * 2992, "drop-too-long"), (spi + "00" * 20000, "drop-too-long"),
                         ("deadbeef00000001" + "00" * 1992, "esp-unknown-spi"), (spi + "00" * 1995, "esp-malformed")):
        before = counters(b)[name]
        lab.run("inet", PYTHON, "-c", SEND, WAN["B"], octets)
        wait_for(f"{name} is counted", lambda: counters(b)[name] == before + 1, 3)
    assert "0xdeadbeef" in b.text()
    lab.run("hostB", PYTHON, "-c", SEND, "10.1.2.1", spi + "00" * 64)
    wait_for("counted", lambda: counters(b)["esp-elsewhere"] == 1, 3)
    assert lab.ping("hostA", HOST["B"], 5) == 5, "the door is quiet again, and the window where it was"
    assert b.pid("worker") and b.pid("ike")


def test_no_esp_is_answered_with_icmp(lab, aditd, capture):
    """Not even what ike has no room for, when it cannot keep up."""
    b = aditd("gwB", adit_conf("B"), files())
    wire = capture("inet", "b0", "icmp")
    esp = "deadbeef00000001" + "00" * 1992
    lab.run("inet", PYTHON, "-c", SEND, WAN["B"], esp)
    ike = b.kill("ike", signal.SIGSTOP)
    lab.run("inet", PYTHON, "-c", SEND.replace("s.sendto", "for i in range(3000): s.sendto"), WAN["B"], esp)
    os.kill(ike, signal.SIGCONT)
    # The capture works: a closed UDP port is answered.
    lab.run("inet", "bash", "-c", f"echo >/dev/udp/{WAN['B']}/9")
    wait_for("the answer to UDP", lambda: wire.names()["icmp"], 5)
    assert wire.names()["icmp"] == 1, dict(wire.names())
