# SPDX-License-Identifier: BSD-2-Clause
"""What crosses a wire: tcpdump writes it, scapy reads it, and every packet gets one of a few names."""
import collections
import contextlib
import signal
import subprocess
import time

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.utils import PcapReader, RawPcapReader

from netlab import wait_for

ESP, FRAGMENT_NEXT = 50, 44
IPSEC = {"esp", "udp-esp", "ike", "keepalive"}
ND_TYPES = range(133, 138)


def _udp4500(octets):
    """RFC 3948 2.2 and 2.3."""
    if octets == b"\xff":
        return "keepalive"
    return "ike" if octets[:4] == bytes(4) else "udp-esp"


def name_of(frame):
    """esp, udp-esp, ike, keepalive, fragment (not the first), link (ARP, ND, MLD) or other."""
    if ARP in frame:
        return "link"
    if IP in frame:
        ip, protocol, later = frame[IP], frame[IP].proto, frame[IP].frag > 0
    elif IPv6 in frame:
        ip, protocol, later = frame[IPv6], frame[IPv6].nh, False
        if protocol == 0 or (protocol == 58 and bytes(ip.payload)[0] in ND_TYPES):
            return "link"
        if protocol == FRAGMENT_NEXT:
            later = ip.payload.offset > 0
            protocol = ip.payload.nh
    else:
        return "link"
    if later:
        return "fragment"
    if protocol == ESP:
        return "esp"
    if UDP in ip:
        ports = {ip[UDP].sport, ip[UDP].dport}
        if 4500 in ports:
            return _udp4500(bytes(ip[UDP].payload))
        if 500 in ports:
            return "ike"
    return "icmp" if ICMP in ip else "other"


def quick_name_of(octets):
    """The same for plain IPv4 ESP, alone or in UDP, which most of a capture is; None: ask scapy, which takes its time."""
    if octets[12:15] != b"\x08\x00\x45" or int.from_bytes(octets[20:22], "big") & 0x1FFF:
        return None
    if octets[23] == ESP:
        return "esp"
    if octets[23] == 17 and b"\x11\x94" in (octets[34:36], octets[36:38]) and len(octets) > 60 and any(octets[42:46]):
        return "udp-esp"
    return None


class Capture:
    """tcpdump on one interface of one box; reading ends it."""

    def __init__(self, lab, box, ifname, filter_text=""):
        self.file = lab.dir / f"{box}-{ifname}-{len(lab.children)}.pcap"
        log = self.file.with_suffix(".tcpdump.log")
        # -Z root: the file's folder belongs to root alone.
        self.child = lab.start(box, log.name, "tcpdump", "-Z", "root", "-U", "-n", "-B", "16384",
                               "--immediate-mode", "-i", ifname, "-w", self.file, *([filter_text] if filter_text else []))
        wait_for("tcpdump listens", lambda: "listening on" in log.read_text(), 5, 0.02)

    def _size_unless_growing(self):
        size = self.file.stat().st_size
        time.sleep(0.2)
        return size if size == self.file.stat().st_size else 0

    def stop(self):
        """What tcpdump has not read when the signal comes is lost, so it is given time to catch up."""
        if self.child.poll() is None:
            wait_for("tcpdump catches up", self._size_unless_growing, 10)
            self.child.send_signal(signal.SIGINT)
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(5)

    def frames(self):
        self.stop()
        with PcapReader(str(self.file)) as reader:
            yield from reader

    def names(self):
        """How many packets of each name."""
        self.stop()
        with contextlib.closing(RawPcapReader(str(self.file))) as reader:
            return collections.Counter(quick_name_of(octets) or name_of(Ether(octets)) for octets, _ in reader)

    def assert_only_ipsec(self, also=()):
        """Nothing in the clear crossed, and something protected did.  Returns the counts."""
        names = self.names()
        strange = {n: c for n, c in names.items() if n not in IPSEC | {"link", "fragment"} | set(also)}
        assert not strange, f"{self.file.name}: clear text crossed: {strange}"
        assert names["esp"] + names["udp-esp"], f"{self.file.name}: no ESP crossed: {dict(names)}"
        return names
