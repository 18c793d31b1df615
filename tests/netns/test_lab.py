# SPDX-License-Identifier: BSD-2-Clause
"""The lab itself: if these fail, no other scenario means anything.  Adit takes no part."""
import pytest

from netlab import HOST, LAN, WAN, WAN6, wait_for

SWANCTL = """
connections {{
  gw {{
    version = 2
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = aes256-sha256-ecp256
    local {{
      auth = psk
      id = {me}
    }}
    remote {{
      auth = psk
      id = {other}
    }}
    children {{
      net {{
        local_ts = {local_ts}
        remote_ts = {remote_ts}
        esp_proposals = aes256gcm16
      }}
    }}
  }}
}}
secrets {{
  ike-1 {{
    id-a = gwa.test
    id-b = gwb.test
    secret = "0123456789abcdef"
  }}
}}
"""


def swanctl(side, other, local="%any"):
    return SWANCTL.format(local=local, remote=WAN[other] if side == "A" else "%any", me=f"gw{side.lower()}.test",
                          other=f"gw{other.lower()}.test", local_ts=LAN[side], remote_ts=LAN[other])


def test_gateways_reach_each_other_and_lans_do_not(lab):
    assert lab.ping("gwA", WAN["B"]) == 3
    assert lab.ping("gwA", WAN6["B"]) == 3
    assert lab.ping("hostA", "10.1.1.1") == 3
    assert lab.ping("hostA", HOST["B"], count=2) == 0


def test_hosts_keep_their_offloads(lab):
    for line in ("tx-checksumming: on", "tcp-segmentation-offload: on", "generic-segmentation-offload: on"):
        assert line in lab.run("hostA", "ethtool", "-k", "eth0").stdout


@pytest.mark.nat
def test_nat_box_hides_the_gateway(lab, capture):
    inside, outside = capture("nat", "in0", "icmp"), capture("inet", "a0", "icmp")
    assert lab.ping("gwA", WAN["B"], count=2) == 2
    assert lab.ping("gwA", WAN6["B"], count=2) == 2
    assert {f["IP"].src for f in inside.frames()} == {"172.16.0.1", WAN["B"]}
    assert {f["IP"].src for f in outside.frames()} == {WAN["A"], WAN["B"]}


def test_names_of_packets(lab, capture):
    middle = capture("inet", "b0")
    lab.ping("gwA", WAN["B"], count=1)
    for port, octets in ((4500, r"\0\0\0\0IKE"), (4500, r"\x00\x00\x01\x02ESP"), (4500, r"\xff"), (500, "IKE"), (53, "clear")):
        lab.run("gwA", "bash", "-c", f"printf '{octets}' >/dev/udp/{WAN['B']}/{port}")
    names = middle.names()
    assert (names["ike"], names["udp-esp"], names["keepalive"]) == (2, 1, 1)
    assert names["icmp"] >= 2 and names["other"] == 1
    with pytest.raises(AssertionError, match="clear text crossed"):
        middle.assert_only_ipsec()


@pytest.mark.parametrize("nat", [False, pytest.param(True, marks=pytest.mark.nat)])
def test_two_charons_make_a_tunnel(lab, charon, capture, nat):
    charon("gwB", swanctl("B", "A"))
    a = charon("gwA", swanctl("A", "B"))
    middle = capture("inet", "b0")
    a.initiate("net")
    assert "ESTABLISHED" in a.sas() and "INSTALLED" in a.sas()
    wait_for("ping through the tunnel", lambda: lab.ping("hostA", HOST["B"], count=1), 5)
    assert lab.ping("hostA", HOST["B"], 3, 1000) == 3
    assert lab.iperf("hostA", "hostB", HOST["B"], 1) > 1e6
    names = middle.assert_only_ipsec()
    assert names["udp-esp"] > 8 and names["ike"] >= 4
    a.terminate("gw")
    assert "ESTABLISHED" not in a.sas()
