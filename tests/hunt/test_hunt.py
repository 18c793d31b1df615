# SPDX-License-Identifier: BSD-2-Clause
"""The hunter: half a minute of it, and that it finds what it should."""
import collections
import os
import pathlib
import random
import re
import signal
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "netns"), str(HERE)]
sys.dont_write_bytecode = True

from scapy.layers.inet import ICMP, IP, UDP, fragment  # noqa: E402
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6PacketTooBig, IPv6  # noqa: E402

import traffic  # noqa: E402
from judge import ETH_P_IP, ETH_P_IPV6, of_protected_flow  # noqa: E402
from netlab import wait_for  # noqa: E402
from walk import drawn, parsed, written  # noqa: E402

HUNT = str(HERE / "hunt")


def hunt(*argv, timeout=400):
    done = subprocess.run([HUNT, *map(str, argv)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                          check=False)
    return done.returncode, done.stdout


# 4 is one without tcx, and so is every fourth.
@pytest.mark.parametrize("seed", [1, 4, random.randrange(1 << 31)])
def test_nothing_in_clear(seed):
    code, told = hunt("--seed", seed, "--seconds", 10, "--no-shrink")
    assert code == 0, told
    assert re.search(r"^[1-9]\d* rounds, 0 clear packets", told, re.M), told


def test_a_guard_taken_away_is_found_and_shrunk():
    code, told = hunt("--seed", 7, "--steps", "inside/down@0.1 unguard@0.3 route/direct@0.1")
    assert code == 1, told
    assert "LEAK out at a0" in told and "LEAK in at" in told, told
    assert 'replay: tests/hunt/hunt --seed 7 --steps "unguard@0.3"' in told, told


def test_a_guard_that_blocks_everything_is_found():
    code, told = hunt("--seed", 8, "--steps", "block@0.1", "--no-shrink")
    assert code == 1 and "what no rule matches gets through: not within" in told, told
    assert "free-out at a0" in told, told


def test_what_cannot_be_a_step_is_said():
    code, told = hunt("--steps", "remake/veth@0 explode")
    assert code == 2 and "no step is called 'explode'" in told


def test_it_cleans_up_when_it_is_ended():
    child = subprocess.Popen([HUNT, "--seed", "9", "--seconds", "300"], text=True, stdout=subprocess.PIPE)

    def boxes():
        return [name for name in os.listdir("/run/netns") if name.startswith(f"t{child.pid % 100000:05}0-")]
    try:
        wait_for("the lab is up", lambda: len(boxes()) == 6, 60)
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    assert child.returncode == 128 + signal.SIGTERM
    assert not boxes()


def test_a_seed_leads_to_the_same_steps():
    Host = collections.namedtuple("Host", "kind running tcx has_programs")
    for host in (Host("veth", True, True, True), Host(None, False, True, False)):
        walks = [[step(host) for _ in range(40)] for step in (drawn(11, 40), drawn(11, 40), drawn(12, 40))]
        assert walks[0] == walks[1] != walks[2]
        assert parsed(" ".join(map(written, walks[0]))) == walks[0]


def test_packets_name_their_kind_in_every_piece():
    for kind in traffic.KINDS:
        for packet in kind.build(traffic.names("B"), traffic.payload(kind)):
            assert traffic.kind_of(bytes(packet), kind.word) == kind.name


LAN4, LAN6 = {"src": "10.1.1.9", "dst": "10.1.2.9"}, {"src": "fd00:1:1::9", "dst": "fd00:1:2::9"}


@pytest.mark.parametrize("packet,protected", [
    (IP(**LAN4) / UDP(), True),
    (IP(src="10.1.2.9", dst="10.1.1.9") / UDP(), True),
    (IP(src="10.1.1.9", dst="239.8.3.3") / UDP(), True),
    (fragment(IP(**LAN4) / UDP() / bytes(900), 400)[-1], True),
    (IP(src="192.0.2.1", dst="10.1.2.9") / ICMP(type=11) / IP(**LAN4) / UDP(), True),
    (IP(src="10.1.1.9", dst="203.0.113.9") / UDP(), False),
    (IP(src="192.0.2.1", dst="203.0.113.9") / ICMP(type=3) / IP(src="203.0.113.9", dst="192.0.2.1") / UDP(), False),
    (IP(src="192.0.2.1", dst="198.51.100.1", proto=50) / bytes(40), False),
    (IPv6(**LAN6) / UDP(), True),
    (IPv6(src="fd00:1:1::9", dst="ff1e:8::1") / UDP(), True),
    (IPv6(src="2001:db8:a::1", dst="fd00:1:2::9") / ICMPv6PacketTooBig() / IPv6(**LAN6) / UDP(), True),
    (IPv6(src="fe80::1", dst="ff02::1:ff00:1") / ICMPv6ND_NS(tgt="fe80::2"), False),
])
def test_addresses_are_judged(packet, protected):
    assert of_protected_flow(bytes(packet), ETH_P_IP if packet.version == 4 else ETH_P_IPV6) is protected
