# SPDX-License-Identifier: BSD-2-Clause
"""One peer's key is bad: that peer has no tunnel, its traffic stays blocked, and everybody else runs."""
import pytest

from confs import PSK, adit_conf, files
from netlab import HOST, LAN, WAN, wait_for

LEAK = "net 10.1.0.0/16"  # inner addresses have no business in the middle
FAR = "10.1.9.0/24"  # behind gwB too, but another peer's
FAR_HOST = "10.1.9.1"
OTHER_PSK = "another key, of the other peer"
BAD = {  # octets of the file (None: there is none), its mode, what is said about it
    "missing": (None, 0o600, "does not exist: write the key there, with mode 0600"),
    "empty": ("", 0o600, "is empty: write the key there"),
    "carriage-return": (f"{OTHER_PSK}\r\n", 0o600, "ends in a carriage return: store it with Unix line ends"),
    "odd-hex": ("hex:00112233445566778899a\n", 0o600, "has an odd number of hexadecimal digits: is one missing?"),
    "no-base64": ("base64:not base64\n", 0o600, "holds something after base64: that is not base64 on one line"),
    "readable": (f"{OTHER_PSK}\n", 0o644, "can be read by others (mode 0644): chmod 600 it"),
}


def other_peer(side, trigger="traffic"):
    """gwB has a second identity, and gwA a second peer that is it, at the same address."""
    peer, far = ("bad", f"{LAN['A']} -> {FAR}") if side == "A" else ("asbad", f"{FAR} -> {LAN['A']}")
    ids = ("gwa.test", "bad.test") if side == "A" else ("bad.test", "gwa.test")
    return f"""
peer {peer} {{ remote {WAN['B' if side == 'A' else 'A']}; psk file:bad.psk; ike p1
    local-id fqdn:{ids[0]}; remote-id fqdn:{ids[1]} }}
acl far {{ 5 permit ip {far} }}
""", f"\n    20 isakmp {{ peer {peer}; acl far; esp e1; trigger {trigger} }}"


def conf(side, trigger="traffic"):
    peer, entry = other_peer(side, trigger)
    return adit_conf(side, policy=entry) + peer


def start_other_end(lab, aditd):
    lab.run("gwB", "ip", "addr", "add", f"{FAR_HOST}/32", "dev", "lo")
    return aditd("gwB", conf("B"), dict(files(), **{"bad.psk": OTHER_PSK}))


def spoil(a, octets, mode):
    path = a.dir / "bad.psk"
    path.unlink(missing_ok=True)
    if octets is not None:
        path.write_bytes(octets.encode())
        path.chmod(mode)
    return path


def reload(a):
    before = a.text().count("is in force")
    a.kill("parent", 1)
    wait_for("reloaded", lambda: a.text().count("is in force") > before, 30)
    wait_for("it answers", a.answers, 30)


def assert_only_bad_suffers(lab, a, b, adit, sentence):
    wait_for("the good tunnel", lambda: lab.ping("hostA", HOST["B"], 1), 30)
    assert lab.ping("hostA", HOST["B"], 3) == 3
    assert lab.ping("hostA", FAR_HOST, 3) == 0

    failures = adit("gwA", "show errors")["failures"]
    mine = [f for f in failures if f["peer"] == "bad"]
    assert len(mine) == 1 and mine[0]["reason"] == "no-key" and mine[0]["current"], failures
    assert sentence in mine[0]["text"] and "(adit.conf:" in mine[0]["text"] and "SIGHUP" in mine[0]["text"]
    assert mine[0]["ago_seconds"] is not None
    assert not [f for f in failures if f["peer"] == "gwB" and f["current"]]
    status = adit("gwA", "status", check=False)
    assert [w for w in status["warnings"] if w.startswith("peer bad has no tunnel") and sentence in w]
    assert a.command("status", check=False).returncode == 1
    rules = {r["name"]: r for r in status["rules"]}
    assert rules["map1/20/5"]["state"] == "down" and sentence in rules["map1/20/5"]["why"]
    assert rules["map1/10/5"]["state"] == "up"
    peers = {p["name"]: p["failure"] for p in adit("gwA", "show peer")["peers"]}
    assert sentence in peers["bad"] and peers["gwB"] is None

    # Neither we nor the peer can bring it up, and we are told why at once.
    for name in ("bad", "map1/20/5"):
        done = a.command("up", name, check=False)
        assert done.returncode == 2 and sentence in done.stderr
    assert sentence in a.json("up", "bad", check=False)["error"]
    done = b.command("up", "asbad", check=False, timeout=100)
    assert done.returncode == 2
    assert [f for f in adit("gwA", "show errors")["failures"] if f["peer"] == "bad"][0]["text"] == mine[0]["text"]
    assert not [s for s in adit("gwA", "show ike")["ike_sas"] if s["peer"] == "bad"]
    counters = {c["name"]: c["count"] for c in adit("gwA", "show statistics")["counters"] if c["room"] == "ike"}
    assert counters["no-key"] >= 2
    assert lab.ping("hostA", HOST["B"], 3) == 3, "the call that was refused took nothing down"

    done = a.command("check", a.conf, check=False)
    assert done.returncode == 2 and sentence in done.stdout and f"{a.conf}:" in done.stdout
    assert sentence in a.text()
    assert OTHER_PSK not in a.text() and PSK not in a.text()


def assert_mended(lab, a, adit):
    path = spoil(a, f"{OTHER_PSK}\n", 0o600)
    assert a.command("check", path.parent / "adit.conf", check=False).returncode == 0
    reload(a)
    wait_for("its tunnel", lambda: lab.ping("hostA", FAR_HOST, 1), 60)
    wait_for("the good one", lambda: lab.ping("hostA", HOST["B"], 1), 60)
    assert not [f for f in adit("gwA", "show errors")["failures"] if f["current"]]
    assert not adit("gwA", "status")["warnings"]


@pytest.mark.parametrize("how", BAD)
def test_bad_when_it_starts(lab, aditd, adit, capture, how):
    b = start_other_end(lab, aditd)
    leak = capture("inet", "a0", LEAK)
    a = aditd("gwA", conf("A", "auto" if how == "odd-hex" else "traffic"), files(), start=False)
    spoil(a, *BAD[how][:2])
    a.start()
    assert_only_bad_suffers(lab, a, b, adit, BAD[how][2])
    assert_mended(lab, a, adit)
    assert not sum(leak.names().values())


def restart_ike(a):
    old = a.kill("ike")
    wait_for("another one", lambda: a.pid("ike") not in (None, old), 30)
    wait_for("it answers", a.answers, 30)


@pytest.mark.parametrize("how, read_again", [("carriage-return", reload), ("missing", reload), ("empty", restart_ike)])
def test_bad_when_it_is_read_again(lab, aditd, adit, capture, how, read_again):
    b = start_other_end(lab, aditd)
    a = aditd("gwA", conf("A"), dict(files(), **{"bad.psk": OTHER_PSK}))
    wait_for("the good tunnel", lambda: lab.ping("hostA", HOST["B"], 1), 30)
    if read_again == reload:  # which tells the peer that its SA ends; a dead ike does not
        wait_for("the other one", lambda: lab.ping("hostA", FAR_HOST, 1), 30)
    leak = capture("inet", "a0", LEAK)
    spoil(a, *BAD[how][:2])
    read_again(a)
    assert_only_bad_suffers(lab, a, b, adit, BAD[how][2])
    assert_mended(lab, a, adit)
    assert not sum(leak.names().values())


def test_every_key_is_bad(lab, aditd, adit, capture):
    """Nothing is negotiated, nothing leaves, and what no rule names flows."""
    start_other_end(lab, aditd)
    a = aditd("gwA", conf("A"), {}, start=False)
    a.start()
    leak = capture("inet", "a0", LEAK)
    assert lab.ping("hostA", HOST["B"], 3) == 0
    assert lab.ping("hostA", FAR_HOST, 3) == 0
    assert lab.ping("gwA", "192.0.2.254", 3) == 3
    assert {f["peer"] for f in adit("gwA", "show errors")["failures"] if f["reason"] == "no-key"} == {"gwB", "bad"}
    assert {r["state"] for r in adit("gwA", "status", check=False)["rules"]} == {"down"}
    assert not sum(leak.names().values())
