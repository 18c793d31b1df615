#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""An IPsec peer made of scapy, for test_scapy.c: one request per line, one answer per line, octets as hex.

  open ENCR INTEG KEYBITS ESN ESNHIGH OUTER PACKET      PACKET: the outer IP packet -> inner packet
  seal ENCR INTEG KEYBITS ESN SEQ64 OUTER UDP INNER     INNER: an IP packet -> outer IP packet
"""
import hashlib
import hmac
import struct
import sys

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, IPSecIntegrityError, SecurityAssociation

SPI = 0x11223344
KEY = bytes((i * 7 + 1) & 0xff for i in range(32))
SALT = bytes(0xa0 + i for i in range(4))
IKEY = bytes((i * 3 + 5) & 0xff for i in range(64))
AUTH = {12: ("SHA2-256-128", 32), 13: ("SHA2-384-192", 48), 14: ("SHA2-512-256", 64)}


class EsnAuth:
    """scapy 2.5 leaves the high half out of an ESP HMAC (it knows it for AH and for GCM): RFC 4303 3.3.2.1."""

    def __init__(self, algo, digest, high):
        self.name, self.mac, self.icv_size = algo.name, algo.mac, algo.icv_size
        self.digest, self.high = digest, high

    def icv(self, octets, key):
        return hmac.new(key, octets + struct.pack("!L", self.high), self.digest).digest()[:self.icv_size]

    def sign(self, esp, key, **_):
        esp.data += self.icv(bytes(esp), key)
        return esp

    def verify(self, esp, key, **_):
        octets = bytes(esp)
        if self.icv(octets[:-self.icv_size], key) != octets[-self.icv_size:]:
            raise IPSecIntegrityError("icv")


def ip_class(octets):
    return IP if octets[0] >> 4 == 4 else IPv6


def association(encr, integ, bits, outer, udp, esn, high):
    args = {"tunnel_header": IP(src="198.51.100.1", dst="192.0.2.1") if outer == 4
            else IPv6(src="2001:db8:b::1", dst="2001:db8:a::1")}
    if udp:
        args["nat_t_header"] = UDP(sport=4500, dport=4500)
    if encr == 20:
        return SecurityAssociation(ESP, SPI, crypt_algo="AES-GCM", crypt_key=KEY[:bits // 8] + SALT, **args)
    name, length = AUTH[integ]
    sa = SecurityAssociation(ESP, SPI, crypt_algo="AES-CBC", crypt_key=KEY[:bits // 8],
                             auth_algo=name, auth_key=IKEY[:length], **args)
    if esn:
        sa.auth_algo = EsnAuth(sa.auth_algo, {32: hashlib.sha256, 48: hashlib.sha384, 64: hashlib.sha512}[length], high)
    return sa


def answer(words):
    verb, encr, integ, bits, esn = words[0], *map(int, words[1:5])
    if verb == "open":
        high, outer, packet = int(words[5]), int(words[6]), bytes.fromhex(words[7])
        parsed = ip_class(packet)(packet)
        sa = association(encr, integ, bits, outer, UDP in parsed, esn, high)
        return bytes(sa.decrypt(parsed, esn_en=bool(esn), esn=high))
    seq, outer, udp, inner = int(words[5]), int(words[6]), int(words[7]), bytes.fromhex(words[8])
    sa = association(encr, integ, bits, outer, udp, esn, seq >> 32)
    return bytes(sa.encrypt(ip_class(inner)(inner), seq_num=seq & 0xffffffff, esn_en=bool(esn), esn=seq >> 32))


for line in sys.stdin:
    try:
        print(answer(line.split()).hex(), flush=True)
    except Exception as problem:  # the test shows it as the difference it is
        print("error", repr(problem), flush=True)
