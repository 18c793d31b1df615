# SPDX-License-Identifier: BSD-2-Clause
"""Configurations of the lab's two ends, for both kinds of gateway, from one short description."""
from netlab import BEHIND_NAT, LAN, LAN6, WAN, WAN6

PSK = "a key that only the tests use"
OTHER = {"A": "B", "B": "A"}


def adit_conf(side, *, ike="encryption aes256gcm16; prf sha256; dh x25519", esp="encryption aes256gcm16; esn both",
              family=4, inner=None, acl=None, trigger="traffic", peer="", interface="", inside="", policy="", entry="",
              remote=None, dpd=""):
    """One peer, one policy on wan0, LAN to LAN.  inner: family of the LANs when it is not the outer one."""
    other = OTHER[side]
    wans, lans = (WAN if family == 4 else WAN6), (LAN if (inner or family) == 4 else LAN6)
    return f"""
interface wan0 {{ role outside; policy map1; {interface} }}
interface lan0 {{ role inside; {inside} }}
ike-proposal p1 {{ {ike} }}
esp-proposal e1 {{ {esp} }}
peer gw{other} {{
    version 2
    remote {remote or wans[other]}
    local-id fqdn:gw{side.lower()}.test
    remote-id fqdn:gw{other.lower()}.test
    psk file:gw.psk
    ike p1
    {f'dpd {{ {dpd} }}' if dpd else ''}
    {peer}
}}
acl lans {{ {acl or f'5 permit ip {lans[side]} -> {lans[other]}'} }}
policy map1 {{ {policy}
    10 isakmp {{ peer gw{other}; acl lans; esp e1; trigger {trigger}; {entry} }} }}
"""


def files(psk=PSK):
    return {"gw.psk": psk + "\n"}


def swanctl_conf(side, *, ike="aes256gcm16-prfsha256-x25519", esp="aes256gcm16", local_ts=None, remote_ts=None, psk=PSK,
                 me=None, other_id=None, nat=False, child="", more=""):
    other = OTHER[side]
    remote = "%any" if nat and side == "B" else WAN[other]
    local = BEHIND_NAT if nat and side == "A" else WAN[side]
    me = me or f"gw{side.lower()}.test"
    other_id = other_id or f"gw{other.lower()}.test"
    return f"""
connections {{
  gw {{
    version = 2
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = {ike}
    {more}
    local {{
      auth = psk
      id = {me}
    }}
    remote {{
      auth = psk
      id = {other_id}
    }}
    children {{
      net {{
        local_ts = {local_ts or LAN[side]}
        remote_ts = {remote_ts or LAN[other]}
        esp_proposals = {esp}
        {child}
      }}
    }}
  }}
}}
secrets {{
  ike-1 {{
    id-a = {me}
    id-b = {other_id}
    secret = "{psk}"
  }}
}}
"""
