# SPDX-License-Identifier: BSD-2-Clause
"""What is protected: one table, from which the gateways get their rules and the judge its opinion."""
import collections
import ipaddress

from confs import OTHER, PSK
from netlab import LAN, LAN6, WAN

GROUP = {"A": "239.8.0.0/16", "B": "239.9.0.0/16"}  # what each side sends to
GROUP6 = {"A": "ff1e:8::/32", "B": "ff1e:9::/32"}
BROADCAST = {"A": "192.0.2.255/32", "B": "198.51.100.255/32"}
SECRET_PORT = 7777  # gateway to gateway; everything else between those two is IKE and ESP

# A permit rule at both gateways: of what A's end and B's end are.
Row = collections.namedtuple("Row", "protocol a b a_port b_port", defaults=("", ""))
ROWS = [
    Row("ip", LAN["A"], LAN["B"]),
    Row("ip", LAN6["A"], LAN6["B"]),
    Row("ip", LAN["A"], GROUP["A"]),
    Row("ip", LAN6["A"], GROUP6["A"]),
    Row("ip", LAN["A"], BROADCAST["A"]),
    Row("ip", GROUP["B"], LAN["B"]),
    Row("ip", GROUP6["B"], LAN6["B"]),
    Row("ip", BROADCAST["B"], LAN["B"]),
    Row("udp", WAN["A"] + "/32", WAN["B"] + "/32", b_port=f"port {SECRET_PORT}"),
    Row("udp", WAN["A"] + "/32", WAN["B"] + "/32", a_port=f"port {SECRET_PORT}"),
]


def acl(side):
    for number, row in enumerate(ROWS, 1):
        ends = [f"{row.a} {row.a_port}", f"{row.b} {row.b_port}"]
        local, remote = ends if side == "A" else reversed(ends)
        yield f"    {number} permit {row.protocol} {local} -> {remote}"


def conf(side):
    other, rules = OTHER[side], "\n".join(acl(side))
    return f"""
interface wan0 {{ role outside; policy map1 }}
interface lan0 {{ role inside }}
ike-proposal p1 {{ encryption aes256gcm16; prf sha256; dh x25519 }}
esp-proposal e1 {{ encryption aes256gcm16; esn both }}
peer gw{other} {{
    version 2
    remote {WAN[other]}
    local-id fqdn:gw{side.lower()}.test
    remote-id fqdn:gw{other.lower()}.test
    psk file:gw.psk
    ike p1
    dpd {{ idle 2s; interval 1s; retries 2 }}
}}
acl lans {{
{rules}
}}
policy map1 {{ 10 isakmp {{ peer gw{other}; acl lans; esp e1; trigger traffic }} }}
"""


def keys():
    return {"gw.psk": PSK + "\n"}


# Rules with ports are judged by what the packets carry alone.
_PAIRS = [(ipaddress.ip_network(r.a), ipaddress.ip_network(r.b)) for r in ROWS if not r.a_port + r.b_port]
_known = {}


def is_protected(source, destination):
    """Whether everything between these two addresses (packed) is."""
    key = (source, destination)
    if key not in _known:
        x, y = map(ipaddress.ip_address, key)
        _known[key] = any((x in a and y in b) or (y in a and x in b) for a, b in _PAIRS if a.version == x.version)
    return _known[key]
