# SPDX-License-Identifier: BSD-2-Clause
"""The host changes under the running daemon: the guard follows, or says why not."""
import time

from confs import adit_conf, files
from gateways import BUILD
from netlab import HOST, wait_for

LEAK = "net 10.1.0.0/16"


def start_both(aditd, **conf):
    b = aditd("gwB", adit_conf("B", **conf), files())
    return aditd("gwA", adit_conf("A", **conf), files()), b


def back(lab):
    wait_for("the tunnel is back", lambda: lab.ping("hostA", HOST["B"], 1), 20)
    assert lab.ping("hostA", HOST["B"], 5) == 5


def test_an_interface_made_anew_is_guarded_anew(lab, aditd):
    a, _ = start_both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    lab.run("gwA", "ip", "link", "del", "wan0")
    wait_for("noticed", lambda: "interface wan0 is gone" in a.text(), 5)
    lab.run("gwA", "ip", "link", "add", "wan0", "type", "veth", "peer", "name", "a0", "netns", f"{lab.prefix}-inet")
    lab.run("gwA", "ip", "link", "set", "wan0", "up")
    lab.run("inet", "ip", "link", "set", "a0", "up")
    lab.run("inet", "ip", "addr", "add", "192.0.2.254/24", "dev", "a0")
    lab.run("gwA", "ip", "addr", "add", "192.0.2.1/24", "dev", "wan0")
    wait_for("guarded", lambda: "adit_egress" in lab.tc_programs("gwA", "wan0"), 10)
    lab.run("gwA", "ip", "route", "add", "default", "via", "192.0.2.254")
    back(lab)


def test_programs_taken_away_are_put_back(lab, aditd, capture):
    a, _ = start_both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    if lab.tcx("gwA", "detach", "wan0", "egress", "adit_egress") is None:
        lab.run("gwA", "tc", "qdisc", "del", "dev", "wan0", "clsact")
    lab.run("gwA", "ip", "link", "set", "wan0", "xdp", "off")
    wait_for("put back", lambda: "adit_egress" in lab.tc_programs("gwA", "wan0"), 5)
    wait_for("put back", lambda: "adit_outside" in lab.run("gwA", "ip", "-d", "link", "show", "wan0").stdout, 5)
    assert "put back" in a.text()
    leak = capture("inet", "a0", LEAK)
    back(lab)
    assert not sum(leak.names().values())


def test_the_internal_pair_comes_back(lab, aditd, capture):
    a, _ = start_both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    leak = capture("inet", "a0", LEAK)
    lab.run("gwA", "ip", "link", "del", f"{a.instance}0")
    back(lab)
    assert "somebody removed our device" in a.text()
    assert not sum(leak.names().values())


def test_a_device_that_is_not_ours_is_left_alone(lab, aditd):
    a = aditd("gwA", adit_conf("A"), files(), start=False)
    lab.run("gwA", "ip", "link", "add", "mine0", "type", "veth", "peer", "name", "other")
    done = lab.run("gwA", BUILD / "aditd", "-f", a.conf, "-i", "mine", check=False)
    assert done.returncode == 1 and "mine0 exists and is not ours" in done.stderr
    assert "mine0" in lab.run("gwA", "ip", "link", "show", "mine0").stdout


def test_an_absent_interface_is_waited_for(lab, aditd):
    conf = adit_conf("A") + "interface later0 { role inside }\n"
    aditd("gwB", adit_conf("B"), files())
    a = aditd("gwA", conf, files())
    assert "waiting for it" in a.text()
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    lab.run("gwA", "ip", "link", "add", "later0", "type", "veth", "peer", "name", "later1")
    lab.run("gwA", "ip", "link", "set", "later0", "up")
    wait_for("taken up", lambda: a.json("show", "interface", check=False).get("interfaces", [{}])[-1].get("name") == "later0", 10)
    back(lab)


def test_decrypted_traffic_that_turns_back_is_protected_or_passes_the_kernel(lab, aditd, capture):
    """Hub: what comes out of one tunnel and is routed out of the policy interface again must meet its rules."""
    acl = {"A": "5 permit ip 10.1.1.0/24 -> 10.0.0.0/8", "B": "5 permit ip 10.0.0.0/8 -> 10.1.1.0/24"}
    aditd("gwB", adit_conf("B", acl=acl["B"], policy="unmatched drop;"), files())
    aditd("gwA", adit_conf("A", acl=acl["A"]), files())
    leak = capture("inet", "b0", "net 10.0.0.0/8")
    lab.ping("hostA", "10.77.0.1", 4, 56, 3)  # gwB routes it back out of wan0, where no rule lets it pass
    time.sleep(0.5)
    assert not sum(leak.names().values())
