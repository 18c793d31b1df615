# SPDX-License-Identifier: BSD-2-Clause
"""Our TC programs and those of others on the same device: ours decide first, the others are asked about the rest."""
import json
import pathlib
import time

import pytest

from confs import adit_conf, files
from gateways import BUILD
from netlab import HERE, HOST, PYTHON, stop, wait_for

LEAK = "ip and net 10.1.0.0/16"  # ARP for the gateway may well name our inside address
NEXT, PASS, DROP = -1, 0, 2  # verdicts
FIRST = "adit_egress"
WAN = ("wan0", "egress")
READY = "parent: ready"
BPFTOOL = "/usr/sbin/bpftool"
FLOOD = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.1.1.1", 0))
while True:
    s.sendto(b"clear", ("10.1.2.2", 9))
"""


@pytest.fixture
def has_tcx(lab):
    if lab.tcx("gwA", "list", *WAN) is None:
        pytest.skip("needs: tcx (Linux 6.6)")


@pytest.fixture(params=["tcx", "clsact"])
def mode(request, lab):
    """As the kernel has it, and as one without tcx has it."""
    if request.param == "tcx":
        request.getfixturevalue("has_tcx")
    return request.param


def start(aditd, mode="tcx", more=""):
    a = aditd("gwA", adit_conf("A") + more, files(), start=False)
    before = a.text().count(READY)
    a.start(tcx=mode == "tcx")
    wait_for("guarded", lambda: a.text().count(READY) > before, 10)
    return a


def runs(pid):
    """A dead one may wait for its reaper, and holds nothing meanwhile."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def crash(a):
    """All of it, ports and sockets closed: the next run could start."""
    pids = [a.pid(role) for role in ("parent", "ike", "worker")]
    a.kill("parent")
    a.child.wait(5)
    wait_for("the children went with it", lambda: not any(map(runs, pids)), 5)


def protected(lab, count=3):
    """From the gateway itself, so that the packets take the general path: TC."""
    return lab.ping("gwA", HOST["B"], count, 56, 1, "-I", "10.1.1.1")


def flood(lab):
    """As much as one process can send: a moment without a guard is seen."""
    lab.start("gwA", "flood.log", PYTHON, "-c", FLOOD)


def clear(lab):
    return lab.ping("gwA", "192.0.2.254", 2, 56, 1)


def add_filter(lab, verdict, *how, verb="add", direction="egress"):
    """A filter of clsact as an administrator would add it; how ends with the handle, if one is meant."""
    program = lab.dir / "other.o"
    (lab.dir / "other.c").write_text(f'__attribute__((section("tc"), used)) int other(void *skb) {{ return {verdict}; }}\n')
    lab.run("gwA", "clang", "-O2", "-target", "bpf", "-c", lab.dir / "other.c", "-o", program)
    lab.run("gwA", "tc", "qdisc", "add", "dev", "wan0", "clsact", check=False)
    lab.run("gwA", "tc", "filter", verb, "dev", "wan0", direction, *how, "bpf", "da", "obj", program, "sec", "tc")


def warnings(a, *words):
    """Those of `adit status` with all of these words."""
    return [w for w in a.json("status", check=False)["warnings"] if all(word in w for word in words)]


def tc_shown(a, name="wan0"):
    return {i["name"]: i["tc"] for i in a.json("show", "interface")["interfaces"]}.get(name)


def test_how_is_shown(lab, aditd, mode):
    a = start(aditd, mode)
    assert tc_shown(a) == mode and tc_shown(a, "lan0") == "off"
    assert f"wan0: TC {mode}" in a.text()
    assert f"tc {mode}" in a.command("show", "interface").stdout
    assert (lab.tcx("gwA", "list", *WAN) or [], lab.clsact("gwA", *WAN)) == (([FIRST], []) if mode == "tcx" else ([], [FIRST]))


def test_first_before_one_that_was_there(lab, aditd, has_tcx, capture):
    lab.tcx("gwA", "attach", *WAN, "early", PASS)
    aditd("gwB", adit_conf("B"), files())
    start(aditd)
    leak = capture("inet", "a0", LEAK)
    assert lab.tcx("gwA", "list", *WAN) == [FIRST, "early"]
    wait_for("tunnel", lambda: protected(lab, 1), 10)
    assert protected(lab) == 3 and clear(lab) == 2
    assert not sum(leak.names().values())


def test_first_again_when_one_went_in_front(lab, aditd, has_tcx, capture):
    a = start(aditd)  # nobody answers at the other end: whatever crosses is clear
    for name in ("once", "twice"):
        lab.tcx("gwA", "attach", *WAN, name, PASS, "front")
        wait_for("back in front", lambda: lab.tcx("gwA", "list", *WAN)[0] == FIRST, 3)
        leak = capture("inet", "a0", LEAK)
        assert protected(lab) == 0 and not sum(leak.names().values())
    assert lab.tcx("gwA", "list", *WAN) == [FIRST, "twice", "once"]
    assert a.text().count('TC program "once"') == a.text().count('TC program "twice"') == 1
    assert warnings(a, 'wan0: the TC program "twice"', "goes first again") and a.command("status", check=False).returncode == 1
    # Nor does the next run leave one of the last behind.
    crash(a)
    start(aditd)
    assert lab.tcx("gwA", "list", *WAN) == [FIRST, "twice", "once"]


def test_a_fight_is_not_fought_at_any_price(lab, aditd, has_tcx, capture):
    a = start(aditd)
    lab.tcx("gwA", "attach", *WAN, "other", PASS)
    leak = capture("inet", "a0", LEAK)
    flood(lab)
    until = time.monotonic() + 8
    while time.monotonic() < until:
        lab.tcx("gwA", "attach", *WAN, "rival", NEXT, "front")
        time.sleep(0.3)
        lab.tcx("gwA", "detach", *WAN, "rival")
        lab.tcx("gwA", "attach", *WAN, "rival", NEXT, "front")
    assert 1 <= a.text().count('TC program "rival"') <= 6
    assert warnings(a, 'the TC program "rival"')
    wait_for("back in front", lambda: lab.tcx("gwA", "list", *WAN) == [FIRST, "rival", "other"], 3)
    assert not sum(leak.names().values()), "a rival that lets us see everything must not make ours miss anything"


@pytest.mark.parametrize("mode, theirs", [("tcx", "tcx"), ("tcx", "clsact"), ("clsact", "clsact")], indirect=["mode"])
def test_those_behind_are_asked_about_what_passes(lab, aditd, mode, theirs):
    start(aditd, mode)
    assert clear(lab) == 2
    if theirs == "tcx":
        lab.tcx("gwA", "attach", *WAN, "other", DROP)
    else:
        add_filter(lab, DROP)
    assert lab.tc_programs("gwA", *WAN) == [FIRST, "other"]
    assert clear(lab) == 0


def test_a_filter_without_priority_cannot_come_first(lab, aditd, mode, capture):
    aditd("gwB", adit_conf("B"), files())
    start(aditd, mode)
    leak = capture("inet", "a0", LEAK)
    add_filter(lab, PASS)
    assert lab.tc_programs("gwA", *WAN) == [FIRST, "other"]
    wait_for("tunnel", lambda: protected(lab, 1), 10)
    assert protected(lab) == 3
    assert not sum(leak.names().values())


def test_stays_when_all_die_and_goes_when_told(lab, aditd, mode, capture):
    a = start(aditd, mode)
    if mode == "tcx":
        lab.tcx("gwA", "attach", *WAN, "other", PASS)
    leak = capture("inet", "a0", LEAK)
    crash(a)
    assert lab.tc_programs("gwA", *WAN)[0] == FIRST
    assert protected(lab) == 0 and clear(lab) == 2
    assert not sum(leak.names().values())
    lab.run("gwA", BUILD / "aditd", "-i", a.instance, "--unload")
    assert lab.tc_programs("gwA", *WAN) == (["other"] if mode == "tcx" else [])
    open_way = capture("inet", "a0", LEAK)
    protected(lab)
    assert sum(open_way.names().values()), "without programs the kernel routes as it always did"


def test_a_new_run_takes_the_place_of_the_old(lab, aditd, mode, capture):
    """With one behind ours that lets everything out: every moment without ours would be seen."""
    a = start(aditd, mode)
    if mode == "tcx":
        lab.tcx("gwA", "attach", *WAN, "other", PASS)
    before = lab.tc_programs("gwA", *WAN)
    leak = capture("inet", "a0", LEAK)
    flood(lab)
    for _ in range(4):
        crash(a)
        a = start(aditd, mode)
        assert lab.tc_programs("gwA", *WAN) == before
    assert not sum(leak.names().values())


def test_from_clsact_to_tcx(lab, aditd, has_tcx, capture):
    a = start(aditd, "clsact")
    assert (lab.tcx("gwA", "list", *WAN), lab.clsact("gwA", *WAN)) == ([], [FIRST])
    leak = capture("inet", "a0", LEAK)
    flood(lab)
    crash(a)
    b = start(aditd)
    assert (lab.tcx("gwA", "list", *WAN), lab.clsact("gwA", *WAN)) == ([FIRST], [])
    assert tc_shown(b) == "tcx"
    assert not sum(leak.names().values())


def test_unload_takes_both_kinds(lab, aditd, has_tcx):
    for mode in ("tcx", "clsact"):
        a = start(aditd, mode)
        crash(a)
    assert lab.tc_programs("gwA", *WAN) == [FIRST, FIRST]
    a.unload()
    assert lab.tc_programs("gwA", *WAN) == []


def test_ingress_of_an_interface_without_ethernet(lab, aditd, mode):
    made = lab.run("gwA", "ip", "tuntap", "add", "tun0", "mode", "tun", check=False)
    if made.returncode:
        pytest.skip("needs: /dev/net/tun")
    lab.run("gwA", "ip", "link", "set", "tun0", "up")
    a = start(aditd, mode, "interface tun0 { policy map1 }\n")
    assert lab.tc_programs("gwA", "tun0", "ingress") == ["adit_ingress"]
    assert lab.tc_programs("gwA", "tun0", "egress") == ["adit_egress"]
    if mode == "tcx":
        lab.tcx("gwA", "attach", "tun0", "ingress", "other", PASS, "front")
        wait_for("back in front", lambda: lab.tcx("gwA", "list", "tun0", "ingress") == ["adit_ingress", "other"], 3)


# ---- clsact: who was added last is asked first --------------------------------------------------

@pytest.mark.parametrize("verb, how", [("add", ("prio", "1")), ("add", ("prio", "1", "handle", "2")),
                                       ("replace", ("prio", "1", "handle", "1"))], ids=["no-handle", "handle-2", "ours-replaced"])
@pytest.mark.parametrize("mode", ["clsact"], indirect=True)
def test_a_filter_of_priority_1_does_not_stay_in_front(lab, aditd, mode, verb, how, capture):
    """cls_bpf puts the newest of a priority first; Cilium replaces handle 1."""
    a = start(aditd, mode)
    flood(lab)
    add_filter(lab, PASS, *how, verb=verb)
    wait_for("back in front", lambda: lab.clsact("gwA", *WAN)[0] == FIRST, 5)
    leak = capture("inet", "a0", LEAK)
    wait_for("said", lambda: warnings(a, "wan0", '"other"', "egress"), 5)
    time.sleep(1.5)
    assert lab.clsact("gwA", *WAN) == [FIRST, "other"]
    assert protected(lab) == 0 and not sum(leak.names().values())
    assert warnings(a, "wan0", '"other"', "tc filter del dev wan0 egress prio 1 handle"), "as long as it is there"


@pytest.mark.parametrize("mode", ["clsact"], indirect=True)
def test_the_advice_of_the_warning_works(lab, aditd, mode):
    a = start(aditd, mode)
    add_filter(lab, PASS, "prio", "1")
    told = wait_for("said", lambda: warnings(a, '"other"', "goes first again"), 5)[0]
    lab.run("gwA", *told.rsplit(": ", 1)[1].split())
    assert lab.clsact("gwA", *WAN) == [FIRST]


@pytest.mark.parametrize("mode", ["clsact"], indirect=True)
@pytest.mark.parametrize("kind", ["u32", "bpf-ip"])
def test_one_that_cannot_be_passed_is_named_and_nothing_leaks(lab, aditd, mode, kind, capture):
    """A priority has one kind and one protocol: nobody can go in front of such a filter of priority 1."""
    lab.run("gwA", "tc", "qdisc", "add", "dev", "wan0", "clsact")
    if kind == "u32":
        lab.run("gwA", "tc", "filter", "add", "dev", "wan0", "egress", "prio", "1", "protocol", "all",
                "u32", "match", "u32", "0", "0", "flowid", "1:1")
    else:
        add_filter(lab, PASS, "prio", "1", "protocol", "ip")
    a = aditd("gwA", adit_conf("A"), files(), start=False)
    leak = capture("inet", "a0", LEAK)
    a.start(tcx=False)
    wait_for("said", lambda: warnings(a, "wan0", "nothing can go in front", "tc filter del dev wan0 egress prio 1"), 10)
    assert protected(lab) == 0 and not sum(leak.names().values())
    assert clear(lab) == 2
    lab.run("gwA", "tc", "filter", "del", "dev", "wan0", "egress", "prio", "1")
    wait_for("first", lambda: lab.clsact("gwA", *WAN) == [FIRST], 10)
    wait_for("no longer said", lambda: not warnings(a, "nothing can go in front"), 5)


@pytest.mark.parametrize("mode", ["clsact"], indirect=True)
def test_an_empty_qdisc_ingress_makes_room(lab, aditd, mode, capture):
    lab.run("gwA", "tc", "qdisc", "add", "dev", "wan0", "ingress")
    leak = capture("inet", "a0", LEAK)
    a = start(aditd, mode)
    assert "clsact" in lab.run("gwA", "tc", "qdisc", "show", "dev", "wan0").stdout
    wait_for("guarded", lambda: lab.clsact("gwA", *WAN) == [FIRST], 5)
    assert protected(lab) == 0 and not sum(leak.names().values()) and not warnings(a, "wan0")


@pytest.mark.parametrize("mode", ["clsact"], indirect=True)
def test_a_qdisc_ingress_with_filters_is_named_and_nothing_leaks(lab, aditd, mode, capture):
    """What is added to its egress is asked about what comes in: a guard that is shown and guards nothing."""
    lab.run("gwA", "tc", "qdisc", "add", "dev", "wan0", "ingress")
    add_filter(lab, NEXT, "prio", "5", direction="ingress")
    leak = capture("inet", "a0", LEAK)
    a = aditd("gwA", adit_conf("A"), files(), start=False)
    a.start(tcx=False)
    wait_for("said", lambda: warnings(a, "wan0", 'the qdisc "ingress"', "tc qdisc del dev wan0 ingress"), 10)
    assert tc_shown(a) == "off"
    assert lab.clsact("gwA", "wan0", "ingress") == ["other"]
    assert protected(lab) == 0 and not sum(leak.names().values()) and clear(lab) == 2
    lab.run("gwA", "tc", "qdisc", "del", "dev", "wan0", "ingress")
    wait_for("guarded", lambda: lab.clsact("gwA", *WAN) == [FIRST], 10)
    wait_for("no longer said", lambda: not warnings(a, "wan0"), 5)


@pytest.mark.parametrize("mode", ["clsact"], indirect=True)
def test_a_block_that_is_shared_is_named_and_nothing_leaks(lab, aditd, mode, capture):
    lab.run("gwA", "tc", "qdisc", "add", "dev", "wan0", "egress_block", "21", "clsact")
    leak = capture("inet", "a0", LEAK)
    a = aditd("gwA", adit_conf("A"), files(), start=False)
    a.start(tcx=False)
    wait_for("said", lambda: warnings(a, "wan0", "block", "tc qdisc del dev wan0 clsact"), 10)
    assert protected(lab) == 0 and not sum(leak.names().values()) and clear(lab) == 2


# ---- tcx ----------------------------------------------------------------------------------------

def test_a_link_in_front_is_passed_and_named(lab, aditd, has_tcx, capture):
    a = start(aditd)
    link = lab.start("gwA", "link.log", PYTHON, HERE / "tcx.py", "link", *WAN, "held", PASS, "front")
    wait_for("passed", lambda: lab.tcx("gwA", "list", *WAN) == [FIRST, "held"], 5)
    leak = capture("inet", "a0", LEAK)
    assert protected(lab) == 0 and not sum(leak.names().values())
    wait_for("said", lambda: warnings(a, '"held"', "bpftool link detach id"), 5)
    stop(link)


def test_another_instance_of_ours_is_another(lab, aditd, has_tcx):
    """Programs of two instances have the same names; neither takes the other's for its own."""
    a = start(aditd)
    lab.tcx("gwA", "attach", *WAN, "adit_egress", PASS, "front")
    wait_for("passed", lambda: warnings(a, 'the TC program "adit_egress"'), 5)
    assert lab.tcx("gwA", "list", *WAN) == [FIRST, "adit_egress"]
    a.stop()
    lab.run("gwA", BUILD / "aditd", "-i", a.instance, "--unload")
    assert lab.tcx("gwA", "list", *WAN) == ["adit_egress"]


# ---- what is asked before TC -----------------------------------------------------------------------

def test_a_netdev_chain_that_sends_packets_elsewhere_is_named(lab, aditd):
    a = start(aditd)
    lab.run("gwA", "nft", "add table netdev early; add chain netdev early out { type filter hook egress device wan0 priority 0; }")
    lab.run("gwA", "nft", "add rule netdev early out ip daddr 10.9.9.9 counter")
    time.sleep(1.5)
    assert not warnings(a, "netdev"), "one that only counts or drops takes nothing away from our rules"
    lab.run("gwA", "nft", "add rule netdev early out ip daddr 10.9.9.9 fwd to lan0")
    wait_for("said", lambda: warnings(a, "wan0", "netdev early out"), 10)
    lab.run("gwA", "nft", "delete table netdev early")
    wait_for("no longer said", lambda: not warnings(a, "netdev"), 10)


# ---- another version ------------------------------------------------------------------------------

@pytest.mark.parametrize("whose", ["named", "nameless"])
@pytest.mark.parametrize("mode", ["tcx", "clsact"], indirect=True)
def test_a_version_with_other_maps_takes_over(lab, aditd, mode, whose, capture):
    """Pinned maps of another layout are made anew, and the programs that have the old ones are replaced; also those of a
    version that did not write the instance's name."""
    a = start(aditd, mode)
    leak = capture("inet", "a0", LEAK)
    flood(lab)
    crash(a)
    host = pathlib.Path(f"/sys/fs/bpf/adit/{a.instance}/host")
    size = json.loads(lab.run("gwA", BPFTOOL, "-j", "map", "show", "pinned", host).stdout)["bytes_value"]
    if whose == "nameless":
        lab.run("gwA", BPFTOOL, "map", "update", "pinned", host, "key", *["0"] * 4, "value", *["0"] * size)
    host.unlink()
    lab.run("gwA", BPFTOOL, "map", "create", host, "type", "array", "key", "4", "value", "8", "entries", "1", "name", "host")
    start(aditd, mode)
    assert "had another layout and were made anew" in a.text()
    assert lab.tc_programs("gwA", *WAN) == [FIRST]
    assert lab.run("gwA", "ip", "-d", "link", "show", "wan0").stdout.count("prog/xdp") == 1
    assert "XDP native" in a.text() and not warnings(a, "wan0")
    assert not sum(leak.names().values())
