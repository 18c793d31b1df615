# SPDX-License-Identifier: BSD-2-Clause
"""strongSwan at the other end (kernel-libipsec: its ESP is always in UDP)."""
import pytest

from confs import adit_conf, files, swanctl_conf
from netlab import HOST, wait_for

# ours (IKE), theirs, ours (ESP), theirs
PROPOSALS = {
    "gcm-x25519": ("encryption aes256gcm16; prf sha256; dh x25519", "aes256gcm16-prfsha256-x25519",
                   "encryption aes256gcm16", "aes256gcm16"),
    "gcm128-ecp256": ("encryption aes128gcm16; prf sha384; dh ecp256", "aes128gcm16-prfsha384-ecp256",
                      "encryption aes128gcm16", "aes128gcm16"),
    "cbc-modp2048": ("encryption aes256; integrity sha256; prf sha256; dh modp2048", "aes256-sha256-modp2048",
                     "encryption aes256; integrity sha256", "aes256-sha256"),
    "cbc-ecp384": ("encryption aes128; integrity sha512; prf sha512; dh ecp384", "aes128-sha512-ecp384",
                   "encryption aes128; integrity sha512", "aes128-sha512"),
}


def exercise(lab, capture):
    middle = capture("inet", "b0")
    wait_for("ping through the tunnel", lambda: lab.ping("hostA", HOST["B"], 1), 10)
    assert lab.ping("hostA", HOST["B"], 5) == 5
    assert lab.ping("hostB", HOST["A"], 5, 1200) == 5
    assert middle.assert_only_ipsec()["udp-esp"] > 20
    assert lab.iperf("hostA", "hostB", HOST["B"], 1) > 1e6


@pytest.mark.parametrize("nat", [False, pytest.param(True, marks=pytest.mark.nat)], ids=["direct", "nat"])
@pytest.mark.parametrize("name", PROPOSALS)
def test_we_call(lab, aditd, adit, charon, capture, name, nat):
    ike, their_ike, esp, their_esp = PROPOSALS[name]
    charon("gwB", swanctl_conf("B", ike=their_ike, esp=their_esp, nat=nat))
    aditd("gwA", adit_conf("A", ike=ike, esp=esp), files())
    middle = capture("inet", "b0")
    assert lab.ping("hostA", HOST["B"], 5, 56, 5) == 5, "traffic triggers, the first packets wait"
    middle.assert_only_ipsec()
    exercise(lab, capture)
    assert adit("gwA", "show ike")["ike_sas"][0]["role"] == "initiator"


@pytest.mark.parametrize("nat", [False, pytest.param(True, marks=pytest.mark.nat)], ids=["direct", "nat"])
@pytest.mark.parametrize("name", PROPOSALS)
def test_they_call(lab, aditd, adit, charon, capture, name, nat):
    ike, their_ike, esp, their_esp = PROPOSALS[name]
    aditd("gwB", adit_conf("B", ike=ike, esp=esp, remote="any" if nat else None), files())
    a = charon("gwA", swanctl_conf("A", ike=their_ike, esp=their_esp, nat=nat))
    a.initiate("net")
    exercise(lab, capture)
    assert adit("gwB", "show ike")["ike_sas"][0]["role"] == "responder"
    a.terminate("gw")
    wait_for("deleted here too", lambda: not adit("gwB", "show ike")["ike_sas"], 5)


def test_their_first_group_is_refused_and_retried(lab, aditd, charon, capture):
    aditd("gwB", adit_conf("B", ike="encryption aes256gcm16; prf sha256; dh ecp384"), files())
    a = charon("gwA", swanctl_conf("A", ike="aes256gcm16-prfsha256-x25519-ecp384"))
    a.initiate("net")
    exercise(lab, capture)


def test_our_first_group_is_refused_and_retried(lab, aditd, charon, capture):
    charon("gwB", swanctl_conf("B", ike="aes256gcm16-prfsha256-ecp384"))
    aditd("gwA", adit_conf("A", ike="encryption aes256gcm16; prf sha256; dh x25519 ecp384"), files())
    exercise(lab, capture)


def test_narrowing_to_what_the_peer_allows(lab, aditd, adit, charon):
    charon("gwB", swanctl_conf("B", local_ts="10.1.2.0/25", remote_ts="10.1.1.0/25"))
    aditd("gwA", adit_conf("A", acl="5 permit ip 10.1.0.0/16 -> 10.1.2.0/24"), files())
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    sa = adit("gwA", "show sa")["sas"][0]
    assert sa["selectors_local"] == ["10.1.1.0/25"] and sa["selectors_remote"] == ["10.1.2.0/25"]


def test_they_delete_and_traffic_brings_it_back(lab, aditd, adit, charon, capture):
    b = charon("gwB", swanctl_conf("B"))
    aditd("gwA", adit_conf("A"), files())
    exercise(lab, capture)
    b.terminate("gw")
    wait_for("deleted here too", lambda: not adit("gwA", "show ike")["ike_sas"], 5)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3


@pytest.mark.parametrize("fault, ours, theirs", [
    ("auth-refused", {}, {"psk": "not the same key"}),
    ("ike-proposal-mismatch", {"ike": "encryption aes128gcm16; prf sha512; dh ecp256"}, {}),
    ("esp-proposal-mismatch", {"esp": "encryption aes128gcm16"}, {}),
    ("selector-mismatch", {"acl": "5 permit ip 10.9.1.0/24 -> 10.9.2.0/24"}, {}),
])
def test_faults_are_named(lab, aditd, adit, charon, fault, ours, theirs):
    charon("gwB", swanctl_conf("B", **theirs))
    a = aditd("gwA", adit_conf("A", **ours), files())
    assert a.command("up", "gwB", check=False, timeout=60).returncode == 2
    assert [f["reason"] for f in adit("gwA", "show ike")["failures"]] == [fault]


def test_they_rekey_the_child(lab, aditd, adit, charon, capture):
    b = charon("gwB", swanctl_conf("B"))
    aditd("gwA", adit_conf("A"), files())
    exercise(lab, capture)
    before = {s["spi"] for s in adit("gwA", "show sa")["sas"]}
    b.swanctl("--rekey", "--child", "net")
    wait_for("new SPIs", lambda: not before & {s["spi"] for s in adit("gwA", "show sa")["sas"]}, 10)
    assert lab.ping("hostA", HOST["B"], 5) == 5


def test_they_rekey_the_ike_sa(lab, aditd, adit, charon, capture):
    b = charon("gwB", swanctl_conf("B"))
    aditd("gwA", adit_conf("A"), files())
    exercise(lab, capture)
    before = adit("gwA", "show ike")["ike_sas"][0]["spi_initiator"]
    b.swanctl("--rekey", "--ike", "gw")
    wait_for("a new IKE SA alone", lambda: [s["spi_initiator"] for s in adit("gwA", "show ike")["ike_sas"]] not in ([], [before]), 10)
    assert lab.ping("hostA", HOST["B"], 5) == 5
    b.terminate("gw")
    wait_for("deleted here too", lambda: not adit("gwA", "show ike")["ike_sas"], 5)
