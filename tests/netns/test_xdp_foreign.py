# SPDX-License-Identifier: BSD-2-Clause
"""Somebody else's XDP program, or AF_XDP socket, on our interfaces: outside the guard holds at TC and says so as long as
it is there; inside it costs the fast path, and nothing else."""
import pytest

from confs import adit_conf, files
from netlab import HERE, HOST, PYTHON, stop, wait_for

PASS = 2
LEAK = "net 10.1.0.0/16"
SPOOFED = "10.1.2.77"


def start_both(aditd):
    b = aditd("gwB", adit_conf("B"), files())
    return aditd("gwA", adit_conf("A"), files()), b


def put(lab, ifname, *force, mode="xdp"):
    program = lab.dir / "other.o"
    (lab.dir / "other.c").write_text(f'__attribute__((section("xdp"), used)) int other(void *ctx) {{ return {PASS}; }}\n')
    lab.run("gwA", "clang", "-O2", "-g", "-target", "bpf", "-c", lab.dir / "other.c", "-o", program)
    lab.run("gwA", "ip", *force, "link", "set", ifname, mode, "obj", program, "sec", "xdp")


def warnings(a, *words):
    return [w for w in a.json("status", check=False)["warnings"] if all(word in w for word in words)]


def shown(a, name):
    return {i["name"]: i for i in a.json("show", "interface")["interfaces"]}[name]


def passes(lab):
    wait_for("the tunnel", lambda: lab.ping("hostA", HOST["B"], 1, 56, 2), 20)
    return lab.ping("hostA", HOST["B"], 5, 56, 3) == 5 == lab.ping("hostB", HOST["A"], 5, 56, 3)


def spoof(lab, capture):
    """How many clear packets of a protected flow reach the LAN, coming from the Internet."""
    got = capture("hostA", "eth0", f"icmp and src host {SPOOFED}")
    lab.run("inet", "ip", "addr", "replace", f"{SPOOFED}/32", "dev", "lo")
    lab.run("inet", "ip", "route", "replace", "10.1.1.0/24", "via", "192.0.2.1")
    lab.ping("inet", HOST["A"], 5, 56, 1, "-I", SPOOFED)
    return sum(got.names().values())


def guarded_at_tc(lab, a, capture):
    wait_for("named in status", lambda: warnings(a, 'wan0: the XDP program "other"', "ip link set wan0"), 10)
    wait_for("named in show interface", lambda: shown(a, "wan0")["xdp"] == "foreign: other", 10)
    assert "xdp foreign: other" in a.command("show", "interface").stdout
    assert lab.tc_programs("gwA", "wan0", "ingress")[:1] == ["adit_ingress"]
    leak = capture("inet", "a0", LEAK)
    assert passes(lab), "ESP goes by the kernel"
    assert spoof(lab, capture) == 0
    assert not [n for n in leak.names() if n != "icmp"]
    assert "put back" not in a.text()
    assert warnings(a, '"other"'), "as long as it is there"


def ours_again(lab, a):
    wait_for("ours again", lambda: shown(a, "wan0")["xdp"] in ("native", "generic"), 15)
    wait_for("no longer said", lambda: not warnings(a, "wan0"), 10)
    assert lab.tc_programs("gwA", "wan0", "ingress") == []
    assert passes(lab)


def test_outside_before_the_start(lab, aditd, capture):
    put(lab, "wan0")
    a, _ = start_both(aditd)
    guarded_at_tc(lab, a, capture)
    lab.run("gwA", "ip", "link", "set", "wan0", "xdp", "off")
    ours_again(lab, a)


def test_outside_by_force(lab, aditd, capture):
    a, _ = start_both(aditd)
    assert passes(lab)
    put(lab, "wan0", "-force")
    guarded_at_tc(lab, a, capture)
    lab.run("gwA", "ip", "link", "set", "wan0", "xdp", "off")
    ours_again(lab, a)
    assert spoof(lab, capture) == 0


def test_outside_generic_and_the_advice_works(lab, aditd):
    put(lab, "wan0", mode="xdpgeneric")
    a, _ = start_both(aditd)
    told = wait_for("named", lambda: warnings(a, '"other"'), 10)[0]
    lab.run("gwA", *told.rsplit(": ", 1)[1].split())
    ours_again(lab, a)


def test_outside_by_a_link(lab, aditd):
    link = lab.start("gwA", "link.log", PYTHON, HERE / "tcx.py", "link", "wan0", "xdp", "held", PASS)
    wait_for("held", lambda: "held" in (lab.dir / "link.log").read_text(), 5)
    a, _ = start_both(aditd)
    wait_for("named", lambda: warnings(a, 'the XDP program "held"', "bpftool link detach id"), 10)
    assert passes(lab)
    stop(link)
    ours_again(lab, a)


@pytest.mark.parametrize("when", ["before", "by-force"])
def test_inside_only_the_fast_path_is_off(lab, aditd, when):
    if when == "before":
        put(lab, "lan0")
    a, _ = start_both(aditd)
    if when == "by-force":
        assert passes(lab) and shown(a, "lan0")["fast_path"] == "on"
        put(lab, "lan0", "-force")
    wait_for("off", lambda: shown(a, "lan0")["fast_path"] == "off", 10)
    assert 'the XDP program "other"' in shown(a, "lan0")["fast_path_why"] and shown(a, "lan0")["xdp"] == "foreign: other"
    assert "parent: ready" in a.text() and passes(lab)
    assert a.command("status", check=False).returncode == 0 and not warnings(a, "lan0")
    lab.run("gwA", "ip", "link", "set", "lan0", "xdp", "off")
    wait_for("on", lambda: shown(a, "lan0")["fast_path"] == "on" and shown(a, "lan0")["xdp"] == "native", 15)
    assert passes(lab)


@pytest.mark.parametrize("ifname", ["wan0", "lan0"])
def test_a_queue_that_another_socket_has(lab, aditd, ifname, capture):
    other = lab.start("gwA", "queue.log", PYTHON, HERE / "hold_queue.py", ifname)
    wait_for("held", lambda: "held" in (lab.dir / "queue.log").read_text(), 5)
    a, _ = start_both(aditd)
    assert warnings(a, f"{ifname}: no AF_XDP socket")
    assert shown(a, ifname)["xsk"] == "none" and "no AF_XDP socket" in shown(a, ifname)["fast_path_why"]
    leak = capture("inet", "a0", LEAK)
    assert passes(lab) and spoof(lab, capture) == 0
    assert not [n for n in leak.names() if n != "icmp"]
    stop(other)
    a.kill("parent", 1)
    wait_for("reloaded", lambda: "is in force" in a.text(), 30)
    wait_for("it answers", a.answers, 20)
    wait_for("bound", lambda: shown(a, ifname)["xsk"] != "none", 20)
    assert passes(lab) and not warnings(a, ifname)
