# SPDX-License-Identifier: BSD-2-Clause
"""Judges the capture of a case's wire, which was made outside of the guest."""
import subprocess

# What may be on a wire between two gateways.  Everything else is clear text, or something nobody knows about.
ESP = "(ip proto 50 or ip6 proto 50 or (ip6 proto 44 and ip6[40] = 50))"
IKE = "(udp port 500 or udp port 4500)"
# Errors quote what was on the wire, and nothing else is on it.
ERRORS = "((icmp and (icmp[0] = 3 or icmp[0] = 11)) or (icmp6 and ip6[40] >= 1 and ip6[40] <= 3))"
LINK = "(arp or (icmp6 and ip6[40] >= 130 and ip6[40] <= 143) or (ip6 proto 0 and dst net ff02::/16) or igmp)"
# Only between the gateways themselves: a LAN host's own IKE is clear text like any other.
ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")
BETWEEN = " and ".join(f"({' or '.join(f'{way} host {a}' for a in ADDRESSES)})" for way in ("src", "dst"))
# ESP in UDP: port 4500, and where a non-ESP marker would be, an SPI.  libpcap has no udp[] for IPv6.
UDP_ESP = "((udp port 4500 and udp[8:4] != 0) or (ip6 proto 17 and (ip6[40:2] = 4500 or ip6[42:2] = 4500) and ip6[48:4] != 0))"

# ... and in fragments.  A later one does not say whose it is: what two gateways send each other by UDP is sealed, or
# CLEAR is found in it.  Behind an IPv6 fragment header libpcap sees no ports.
PIECES = ("((ip proto 17 and ip[6:2] & 0x1fff != 0) or "
          "(ip6 proto 44 and ip6[40] = 17 and (ip6[42:2] & 0xfff8 != 0 or ip6[48:2] = 4500 or ip6[50:2] = 4500)))")

# What no rule names, in cases that say so: pings between the gateways.
OPEN = "((icmp and (icmp[0] = 0 or icmp[0] = 8)) or (icmp6 and (ip6[40] = 128 or ip6[40] = 129)))"

LEAST = 4  # ESP packets: fewer prove nothing
CLEAR = b"this is clear te"  # vmtest/guest/lab.sh sends it; a ping repeats these 16 octets


def _count(pcap, expression):
    """(number, first lines) of the packets that match."""
    done = subprocess.run(["tcpdump", "-nn", "-r", pcap, *([expression] if expression else [])], text=True, capture_output=True, check=False)
    if done.returncode:
        return None, [done.stderr.strip()]
    lines = done.stdout.splitlines()
    return len(lines), lines[:5]


def faults(pcap, wanted, open_too=False):
    """What is wrong with this capture, as lines; wanted is raw, udp, any or none.  open_too: so are pings between the
    gateways, each family."""
    ret = []
    vlan = lambda e: f"({e}) or (vlan and ({e}))"
    allowed = f"{LINK} or ({BETWEEN} and ({ESP} or {IKE} or {PIECES} or {ERRORS}{' or ' + OPEN if open_too else ''}))"
    total, lines = _count(pcap, "")
    if total is None:
        return [f"the capture cannot be read: {lines[0]}"]
    # Not the number of "not (...)": a packet too short for the expression matches neither.
    number = total - _count(pcap, vlan(allowed))[0]
    if number:
        ret += [f"on the wire: {number} packets that are not ESP, IKE or neighbour discovery between the gateways:",
                *_count(pcap, f"not ({vlan(allowed)})")[1]]
    if CLEAR in pcap.read_bytes():
        ret.append("on the wire: the clear text that the hosts send")
    raw, udp = _count(pcap, vlan(ESP))[0], _count(pcap, vlan(UDP_ESP))[0]
    seen = {"raw": raw, "udp": udp, "any": raw + udp, "none": 0}[wanted]
    if wanted != "none" and seen < LEAST:
        ret.append(f"on the wire: {raw} ESP and {udp} ESP-in-UDP packets; {wanted} was wanted, at least {LEAST}")
    for family in ("ip", "ip6") if open_too else ():
        number = _count(pcap, vlan(f"{family} and {BETWEEN} and {OPEN}"))[0]
        if number < LEAST:
            ret.append(f"on the wire: {number} pings between the gateways by {family}; what no rule names was to flow")
    if seen < raw + udp:
        ret.append(f"on the wire: {raw} ESP and {udp} ESP-in-UDP packets; only {wanted} was wanted")
    return ret
