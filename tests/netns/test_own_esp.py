# SPDX-License-Identifier: BSD-2-Clause
"""Own ESP that leaves through the kernel is known by what it is.  What only looks like it meets the rules: here one
that protects everything from this gateway to the other."""
import pytest

from confs import adit_conf, files
from netlab import HOST, PYTHON, WAN, WAN6, wait_for

SECRET = b"a secret that no wire may carry"

# Datagrams and ESP of a process here, with our own address as their source.
FORGE = f"""
import socket, struct, sys
kind, source, to, n = sys.argv[1:]
six, octets = ":" in to, {SECRET!r}
family, protocol = socket.AF_INET6 if six else socket.AF_INET, 17 if kind == "udp" else 50
s = socket.socket(family, socket.SOCK_RAW, protocol)
if kind == "udp":
    if six:
        s.setsockopt(socket.IPPROTO_IPV6, 7, 6)  # IPV6_CHECKSUM, and where it stands
    octets = struct.pack(">HHHH", 4500, 4500, 8 + len(octets), 0) + octets
s.bind((source, 0))
for _ in range(int(n)):
    s.sendto(octets, (to, 0))
"""

# Of a host in the LAN, from the port by which ESP in UDP was once known.
FROM_4500 = f"""
import socket, sys, time
to, n = sys.argv[1:]
s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("::" if ":" in to else "0.0.0.0", 4500))
for _ in range(int(n)):
    s.sendto({SECRET!r}, (to, 4500))
    time.sleep(.05)
"""

MASQUERADE = "add table inet nat; add chain inet nat post {{ type nat hook postrouting priority srcnat; }};" \
    "add rule inet nat post iifname lan0 oifname wan0 udp dport 4500 meta nfproto {} masquerade"


def counted(gateway, name):
    return {c["name"]: c["count"] for c in gateway.json("show", "statistics")["counters"] if c["room"] == "bpf"}[name]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("encap", ["raw", "udp"])
def test_only_own_esp_passes_by_the_rules(lab, aditd, capture, family, encap):
    wans, full = (WAN, 32) if family == 4 else (WAN6, 128)
    more = {"family": family, "inner": 4, "peer": "nat-traversal force;" if encap == "udp" else "",
            "interface": "fast-path off"}  # all ESP leaves through the kernel
    acl = "5 permit ip {}/24 -> {}/24; 6 permit ip {}/%d -> {}/%d" % (full, full)
    aditd("gwB", adit_conf("B", acl=acl.format("10.1.2.0", "10.1.1.0", wans["B"], wans["A"]), **more), files())
    a = aditd("gwA", adit_conf("A", acl=acl.format("10.1.1.0", "10.1.2.0", wans["A"], wans["B"]), **more), files())
    wire = capture("inet", "a0")
    assert lab.ping("hostA", HOST["B"], 5, 56, 5) == 5, "own ESP is not sealed again"
    assert lab.ping("hostA", HOST["B"], 3, 1350, 5) == 3
    assert counted(a, "pass-own-esp") >= 8
    for kind in "udp", "esp":
        before = counted(a, "to-internal")
        lab.run("gwA", PYTHON, "-c", FORGE, kind, wans["A"], wans["B"], 5)
        wait_for(f"{kind} of a process here is protected", lambda: counted(a, "to-internal") >= before + 5)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    lab.run("gwA", "nft", MASQUERADE.format(f"ipv{family}"))
    before = counted(a, "to-internal")
    lab.run("hostA", PYTHON, "-c", FROM_4500, wans["B"], 5)
    wait_for("datagrams of a host are protected", lambda: counted(a, "to-internal") >= before + 5)
    wire.stop()
    assert SECRET not in wire.file.read_bytes(), "clear text crossed"
