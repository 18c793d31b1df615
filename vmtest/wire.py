# SPDX-License-Identifier: BSD-2-Clause
"""Judges the capture of a case's wire, which was made outside of the guest."""
import subprocess

# What may be on a wire between two gateways.  Everything else is clear text, or something nobody knows about.
ESP = "(ip proto 50 or ip6 proto 50 or (ip6 proto 44 and ip6[40] = 50))"
IKE = "(udp port 500 or (udp port 4500 and not port 500))"
LINK = ("(arp or (icmp6 and ip6[40] >= 130 and ip6[40] <= 143) or (ip6 proto 0 and dst net ff02::/16) or igmp)")
GATEWAYS = "(host 192.0.2.1 or host 192.0.2.2 or host 2001:db8::1 or host 2001:db8::2)"
# Errors between the gateways themselves quote what was on the wire, and nothing else is on it.
ERRORS = (f"({GATEWAYS} and ((icmp and (icmp[0] = 3 or icmp[0] = 11)) or (icmp6 and ip6[40] >= 1 and ip6[40] <= 3)))")
# ESP in UDP: port 4500, and where a non-ESP marker would be, an SPI.  libpcap has no udp[] for IPv6.
UDP_ESP = "((udp port 4500 and udp[8:4] != 0) or (ip6 proto 17 and (ip6[40:2] = 4500 or ip6[42:2] = 4500) and ip6[48:4] != 0))"

LEAST = 4  # ESP packets: fewer prove nothing
CLEAR = b"this is clear text"  # vmtest/guest/lab.sh sends it


def _count(pcap, expression):
    """(number, first lines) of the packets that match."""
    done = subprocess.run(["tcpdump", "-nn", "-r", pcap, expression], text=True, capture_output=True, check=False)
    if done.returncode:
        return None, [done.stderr.strip()]
    lines = done.stdout.splitlines()
    return len(lines), lines[:5]


def faults(pcap, wanted):
    """What is wrong with this capture, as lines; wanted is raw, udp, any or none."""
    ret = []
    vlan = lambda e: f"({e}) or (vlan and ({e}))"
    allowed = f"{LINK} or {ESP} or {IKE} or {ERRORS}"
    number, lines = _count(pcap, f"not ({vlan(allowed)})")
    if number is None:
        return [f"the capture cannot be read: {lines[0]}"]
    if number:
        ret += [f"on the wire: {number} packets that are not ESP, IKE or neighbour discovery:", *lines]
    if CLEAR in pcap.read_bytes():
        ret.append("on the wire: the clear text that the hosts send")
    raw, udp = _count(pcap, vlan(ESP))[0], _count(pcap, vlan(UDP_ESP))[0]
    seen = {"raw": raw, "udp": udp, "any": raw + udp}.get(wanted)
    if seen is not None and seen < LEAST:
        ret.append(f"on the wire: {raw} ESP and {udp} ESP-in-UDP packets; {wanted} was wanted, at least {LEAST}")
    if wanted in ("raw", "udp") and seen < raw + udp:
        ret.append(f"on the wire: {raw} ESP and {udp} ESP-in-UDP packets; only {wanted} was wanted")
    return ret
