# SPDX-License-Identifier: BSD-2-Clause
"""Adit at both ends: what a tunnel has to do whoever the peer is."""
import time

import pytest

from confs import adit_conf, files
from netlab import HOST, HOST6, LAN, wait_for

INNER = {4: HOST, 6: HOST6}
CLEAR = "net 10.1.0.0/16 or net fd00:1::/32"  # inner addresses, which have no business in the middle


def both(aditd, **conf):
    b = aditd("gwB", adit_conf("B", **conf), files())
    a = aditd("gwA", adit_conf("A", **conf), files())
    return a, b


def counters(gateway):
    return {(c["room"], c["name"]): c["count"] for c in gateway.json("show", "statistics")["counters"]}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("inner", [4, 6])
def test_traffic_makes_the_tunnel_and_no_packet_is_lost(lab, aditd, capture, family, inner):
    a, b = both(aditd, family=family, inner=inner)
    middle = capture("inet", "b0")
    assert lab.ping("hostA", INNER[inner]["B"], 10, 56, 5) == 10, "the first packets wait, none is lost"
    assert lab.ping("hostB", INNER[inner]["A"]) == 3
    middle.assert_only_ipsec()
    leak = capture("inet", "b0", CLEAR)
    assert lab.iperf("hostA", "hostB", INNER[inner]["B"]) > 1e6
    assert lab.iperf("hostB", "hostA", INNER[inner]["A"]) > 1e6
    assert not sum(leak.names().values())
    rule = a.json("status")["rules"][0]
    assert rule["state"] == "up" and rule["out_packets"] > 10 and rule["in_packets"] > 10
    for gateway in (a, b):
        lost = {k: n for k, n in counters(gateway).items() if k[0] != "ike" and k[1].startswith("drop-") and n}
        assert not set(k[1] for k in lost) - {"drop-not-protected", "drop-tx-full", "drop-no-frame"}, lost


def test_what_the_gateway_itself_sends_is_protected_too(lab, aditd, capture):
    both(aditd)
    middle = capture("inet", "b0")
    assert lab.ping("gwA", HOST["B"], 3, 56, 5, "-I", "10.1.1.1") == 3
    assert lab.ping("hostA", "10.1.2.1", 3) == 3, "the far gateway's own inside address"
    middle.assert_only_ipsec()


@pytest.mark.parametrize("fast_path", ["on", "off"])
def test_large_tcp_through_both_paths(lab, aditd, adit, fast_path):
    a, b = both(aditd, inside=f"fast-path {fast_path}")
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    assert lab.iperf("hostA", "hostB", HOST["B"], 2, "-P", "4") > 1e6
    assert adit("gwA", "show interface")["interfaces"][1]["fast_path"] == fast_path
    opened = {k[1]: n for k, n in counters(b).items() if k[1].startswith("opened")}
    assert opened["opened-fast" if fast_path == "on" else "opened-kernel"] > 100


def test_netfilter_rules_turn_the_fast_path_off_and_are_obeyed(lab, aditd, adit):
    both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    assert adit("gwA", "show interface")["interfaces"][1]["fast_path"] == "on"
    lab.run("gwA", "nft", "add table inet filter; add chain inet filter forward { type filter hook forward priority 0; };"
            "add rule inet filter forward ip daddr 10.1.2.2 icmp type echo-request drop")
    wait_for("fast path off", lambda: adit("gwA", "show interface")["interfaces"][1]["fast_path"] == "off", 5)
    time.sleep(0.3)  # a flow's route is believed for 200 ms (docs/design.md)
    assert "filter forward" in adit("gwA", "show interface")["interfaces"][1]["fast_path_why"]
    assert lab.ping("hostA", HOST["B"], 2) == 0
    assert lab.ping("hostB", HOST["A"], 2) == 2
    lab.run("gwA", "nft", "flush ruleset")
    wait_for("fast path on", lambda: adit("gwA", "show interface")["interfaces"][1]["fast_path"] == "on", 5)
    assert lab.ping("hostA", HOST["B"], 2) == 2


@pytest.mark.parametrize("suite", ["aes128gcm16", "aes256gcm16", "aes128; integrity sha256", "aes256; integrity sha512"])
def test_suites_and_sizes_around_the_tunnel_mtu(lab, aditd, capture, suite):
    both(aditd, esp=f"encryption {suite}; esn yes")
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    middle = capture("inet", "b0")
    for size in (0, 1, 2, 3, 17, 1300, 1380, 1400, 1410, 1418, 1440, 1472, 2000, 4000):
        assert lab.ping("hostA", HOST["B"], 2, size, 2, "-M", "dont") == 2, f"{size} octets"
    middle.assert_only_ipsec()


def test_oversized_df_packet_is_answered_with_icmp(lab, aditd, adit):
    both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    mtu = adit("gwA", "show sa")["sas"][0]["inner_mtu_bytes"]
    fits = lab.run("hostA", "ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", mtu - 28, HOST["B"], check=False).stdout
    assert "1 received" in fits
    told = lab.run("hostA", "ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", mtu - 27, HOST["B"], check=False)
    assert f"mtu = {mtu}" in told.stdout + told.stderr or f"mtu={mtu}" in told.stdout + told.stderr, told.stdout


def test_deny_rule_and_foreign_traffic_pass_in_clear(lab, aditd, capture):
    acl = f"1 deny icmp {LAN['A']} -> {LAN['B']}; 5 permit ip {LAN['A']} -> {LAN['B']}"
    aditd("gwA", adit_conf("A", acl=acl), files())
    aditd("gwB", adit_conf("B"), files())
    assert lab.ping("gwA", "192.0.2.254") == 3, "unrelated traffic is untouched"
    wire = capture("inet", "a0", "icmp and dst host 10.1.2.2")
    lab.ping("hostA", HOST["B"], 2)
    assert wire.names()["icmp"] == 2, "the deny rule stands first"


def test_up_and_down_by_hand(lab, aditd, adit):
    a, b = both(aditd)
    assert adit("gwA", "status")["rules"][0]["state"] == "waiting for traffic"
    done = a.command("up", "gwB")
    assert "IKE_AUTH" in done.stdout, done.stdout
    assert adit("gwA", "status")["rules"][0]["state"] == "up"
    assert adit("gwB", "status")["rules"][0]["state"] == "up"
    ike = adit("gwB", "show ike")["ike_sas"]
    assert len(ike) == 1 and ike[0]["role"] == "responder" and ike[0]["nat"] == "none"
    a.command("down", "gwB")
    assert adit("gwA", "show sa")["sas"] == []
    wait_for("the peer heard of it", lambda: adit("gwB", "show sa")["sas"] == [], 5)
    assert lab.ping("hostB", HOST["A"], 3, 56, 5) == 3, "traffic brings it back, from the other side"


def test_auto_trigger_needs_no_traffic(lab, aditd, adit):
    both(aditd, trigger="auto")
    wait_for("tunnel up", lambda: adit("gwA", "status")["rules"][0]["state"] == "up", 10)


@pytest.mark.nat
def test_through_nat(lab, aditd, adit, capture):
    aditd("gwB", adit_conf("B", remote="any"), files())
    aditd("gwA", adit_conf("A"), files())
    middle = capture("inet", "b0")
    assert lab.ping("hostA", HOST["B"], 5, 56, 5) == 5
    assert lab.ping("hostB", HOST["A"], 3) == 3
    assert middle.assert_only_ipsec()["udp-esp"] > 8
    assert lab.iperf("hostA", "hostB", HOST["B"], 1) > 1e6
    assert adit("gwA", "show ike")["ike_sas"][0]["nat"] == "local"
    assert adit("gwB", "show ike")["ike_sas"][0]["nat"] == "remote"
    assert adit("gwB", "show sa")["sas"][0]["encapsulation"] == "esp-in-udp"


def test_several_rules_have_their_own_sas(lab, aditd, adit, capture):
    for box, ns in (("hostA", "10.1.1.3"), ("hostB", "10.1.2.3")):
        lab.run(box, "ip", "addr", "add", f"{ns}/24", "dev", "eth0")
    ends = {"A": ("10.1.1.2/32", "10.1.2.2/32", "10.1.1.3/32", "10.1.2.3/32"),
            "B": ("10.1.2.2/32", "10.1.1.2/32", "10.1.2.3/32", "10.1.1.3/32")}
    for side in "BA":
        e = ends[side]
        aditd(f"gw{side}", adit_conf(side, acl=f"5 permit ip {e[0]} -> {e[1]}; 10 permit ip {e[2]} -> {e[3]}"), files())
    assert lab.ping("hostA", "10.1.2.2", 3, 56, 5) == 3
    assert lab.ping("hostA", "10.1.2.3", 3, 56, 5, "-I", "10.1.1.3") == 3
    sas = adit("gwA", "show sa")["sas"]
    assert {s["rule"] for s in sas} == {"map1/10/5", "map1/10/10"} and len(sas) == 4
    assert len(adit("gwA", "show ike")["ike_sas"]) == 1


def test_wrong_key_is_named(lab, aditd, adit):
    aditd("gwB", adit_conf("B"), files("another key than the other end has"))
    a = aditd("gwA", adit_conf("A"), files())
    done = a.command("up", "gwB", check=False, timeout=60)
    assert done.returncode == 2
    assert adit("gwA", "show ike")["failures"][0]["reason"] == "auth-refused"
    assert adit("gwB", "show ike")["failures"][0]["reason"] == "auth-failed"
    assert adit("gwA", "status", check=False)["rules"][0]["state"] == "down"


def test_maps_are_readable_and_hold_no_key(lab, aditd, adit):
    a, _ = both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    pins = f"/sys/fs/bpf/adit/{a.instance}"
    spi = next(int(s["spi"], 16) for s in adit("gwA", "show sa")["sas"] if s["direction"] == "out")
    sa = lab.run("gwA", "bpftool", "map", "dump", "pinned", f"{pins}/sa_out").stdout
    assert f'"spi": {spi}' in sa and '"remote_ts"' in sa and '"inner_mtu"' in sa
    rules = lab.run("gwA", "bpftool", "map", "dump", "pinned", f"{pins}/spd").stdout
    assert '"local_mask"' in rules and '"action": 2' in rules
    assert "packets" in lab.run("gwA", "bpftool", "map", "dump", "pinned", f"{pins}/rule_hits").stdout
