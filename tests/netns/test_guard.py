# SPDX-License-Identifier: BSD-2-Clause
"""A policy interface that comes, comes back or changes its name: nothing that policy protects passes in clear, not one
packet, and everything else flows.  The route stands in the same command as the device, so that there is no moment in
which an unguarded one could go unseen."""
import contextlib
import os
import pathlib
import signal
import time

import pytest
from scapy.all import PcapReader

from confs import PSK, adit_conf, files
from gateways import BUILD
from netlab import HOST, HOST6, LAN, LAN6, PYTHON, stop, wait_for

CLEAR = "net 10.1.0.0/16 or net fd00:1::/32"  # inner addresses have no business in the middle
TABLE = "adit-{}"
FLOOD = """
import socket, time
ends = []
for family, local, remote in ((socket.AF_INET, "{local4}", "{remote4}"), (socket.AF_INET6, "{local6}", "{remote6}")):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ends.append((s, family, local, remote))
while True:
    for s, family, local, remote in ends:
        try:
            s.sendto(b"never in clear", (remote, 9))
        except OSError:
            pass
    time.sleep(0.0005)
"""


def both(side):
    other = "B" if side == "A" else "A"
    return adit_conf(side, acl=f"5 permit ip {LAN[side]} -> {LAN[other]}; 6 permit ip {LAN6[side]} -> {LAN6[other]}")


def flood(lab):
    """From the LAN host, both families, about two thousand a second."""
    script = FLOOD.format(local4=HOST["A"], remote4=HOST["B"], local6=HOST6["A"], remote6=HOST6["B"])
    return lab.start("hostA", "flood.log", PYTHON, "-c", script)


def wires(lab, capture):
    """Every outside wire, those to come included."""
    return capture("inet", "any", CLEAR)


def clear_packets(captured):
    captured.stop()
    with PcapReader(str(captured.file)) as reader:
        return [p.summary() for p in reader]


MAKE = "link add {name} {index} type veth peer name a0 netns {ns}\n"
SET_UP = """link set wan0 up
addr add 192.0.2.1/24 dev wan0
addr add 2001:db8:a::1/64 dev wan0 nodad
route add default via 192.0.2.254 dev wan0 onlink
route add default via 2001:db8:a::254 dev wan0 onlink
neigh replace 192.0.2.254 lladdr 02:00:00:00:00:fe dev wan0 nud permanent
neigh replace 2001:db8:a::254 lladdr 02:00:00:00:00:fe dev wan0 nud permanent
"""


def make(lab, before="", name="wan0", index=""):
    """As pppd or a hot-plugged adapter does, in one go; under another name first, as udev finds it."""
    named = MAKE.format(name=name, index=f"index {index}" if index else "", ns=f"{lab.prefix}-inet")
    rename = "" if name == "wan0" else f"link set {name} name wan0\n"
    lab.run("gwA", "ip", "-batch", "-", input=before + named + rename + SET_UP)
    lab.run("inet", "ip", "-batch", "-", input="link set a0 address 02:00:00:00:00:fe\nlink set a0 up\n"
            "addr add 192.0.2.254/24 dev a0\naddr add 2001:db8:a::254/64 dev a0 nodad\n")


def index_of(lab, name):
    return int(lab.run("gwA", "ip", "-o", "link", "show", name).stdout.split(":")[0])


def guarded(lab, name="wan0"):
    return "adit_egress" in lab.tc_programs("gwA", name)


def unprotected_flows(lab):
    wait_for("what no rule means flows", lambda: lab.ping("gwA", "192.0.2.254", 1), 10)


HOW = {
    "remade": lambda lab: make(lab, "link del wan0\n"),
    "same-index": lambda lab: make(lab, "link del wan0\n", index=index_of(lab, "wan0")),
    "renamed-to-it": lambda lab: make(lab, "link del wan0\n", name="eth7"),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("state", ["running", "reloading", "frozen", "stopped", "killed"])
def test_it_comes_back(lab, aditd, capture, how, state):
    a = aditd("gwA", both("A"), files())
    if state == "stopped":
        assert a.stop() == 0
    elif state == "frozen":  # nobody hears of the link
        a.kill("parent", signal.SIGSTOP)
    elif state == "killed":
        a.kill("parent")
        a.child.wait(5)
    wire = wires(lab, capture)
    flood(lab)
    time.sleep(0.3)
    for _ in range(3):
        if state == "reloading":
            a.kill("parent", 1)
        HOW[how](lab)
        time.sleep(0.7)
    if state == "frozen":
        os.kill(a.pid("parent"), signal.SIGCONT)
    if state in ("running", "reloading", "frozen"):
        wait_for("guarded", lambda: guarded(lab), 20)
    unprotected_flows(lab)
    assert clear_packets(wire) == []


def test_it_comes_late(lab, aditd, capture):
    lab.run("gwA", "ip", "link", "del", "wan0")
    a = aditd("gwA", both("A"), files())
    assert "there is no interface wan0 now" in a.text()
    wire = wires(lab, capture)
    flood(lab)
    make(lab)
    wait_for("guarded", lambda: guarded(lab), 20)
    unprotected_flows(lab)
    time.sleep(1)
    assert clear_packets(wire) == []


def test_a_renamed_one_stays_guarded(lab, aditd, capture):
    """Whoever renames an interface that is up keeps its routes, and what they carry."""
    a = aditd("gwA", both("A"), files())
    wire = wires(lab, capture)
    flood(lab)
    done = lab.run("gwA", "ip", "link", "set", "wan0", "name", "wan9", check=False)
    if done.returncode:  # before Linux 6.2 it has to be down
        lab.run("gwA", "ip", "-batch", "-", input="link set wan0 down\nlink set wan0 name wan9\nlink set wan9 up\n"
                "route add default via 192.0.2.254 dev wan9\n")
    wait_for("said", lambda: "wan0 is called wan9 now, and stays guarded" in a.text(), 10)
    wait_for("running again", lambda: a.json("status", check=False), 20)
    assert guarded(lab, "wan9")
    unprotected_flows(lab)
    a.stop()
    assert guarded(lab, "wan9")
    a.start()
    assert guarded(lab, "wan9")
    assert clear_packets(wire) == []


def test_moved_away_and_back(lab, aditd, capture):
    a = aditd("gwA", both("A"), files())
    wire = wires(lab, capture)
    flood(lab)
    lab.run("gwA", "ip", "link", "set", "wan0", "netns", f"{lab.prefix}-hostB")
    lab.run("hostB", "ip", "link", "set", "wan0", "netns", f"{lab.prefix}-gwA")
    lab.run("gwA", "ip", "-batch", "-", input="link set wan0 up\naddr add 192.0.2.1/24 dev wan0\n"
            "route add default via 192.0.2.254 dev wan0\n")
    wait_for("guarded", lambda: guarded(lab), 20)
    unprotected_flows(lab)
    assert a.child.poll() is None and clear_packets(wire) == []


def test_nothing_comes_in_clear_before_it_is_guarded(lab, aditd, capture):
    """While nobody runs, and by an interface that our programs never saw."""
    a = aditd("gwA", both("A"), files())
    a.stop()
    inside = capture("hostA", "eth0", "udp and src net 10.1.2.0/24")
    make(lab, "link del wan0\n")
    lab.run("inet", "ip", "-batch", "-", input="addr add 10.1.2.77/32 dev lo\naddr add 203.0.113.7/32 dev lo\n"
            "route add 10.1.1.0/24 via 192.0.2.1 dev a0\n")
    send = "import socket; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('{}', 7)); " \
           "[s.sendto(b'x', ('10.1.1.2', 9)) for _ in range(5)]"
    other = capture("hostA", "eth0", "udp and src host 203.0.113.7")
    lab.run("inet", PYTHON, "-c", send.format("10.1.2.77"))
    lab.run("inet", PYTHON, "-c", send.format("203.0.113.7"))
    assert len(clear_packets(other)) == 5
    assert clear_packets(inside) == []


def test_flushed_rules_are_written_again(lab, aditd, capture):
    """`systemctl reload nftables` begins with a flush."""
    a = aditd("gwA", both("A"), files())
    table = TABLE.format(a.instance)
    for _ in range(3):
        lab.run("gwA", "nft", "flush", "ruleset")
        wait_for("back", lambda: table in lab.run("gwA", "nft", "list", "tables").stdout, 10)
    lab.run("gwA", "nft", "flush", "chain", "inet", table, "out")
    wait_for("back", lambda: "guarded_out" in lab.run("gwA", "nft", "list", "chain", "inet", table, "out").stdout, 10)
    assert all(i["fast_path"] for i in a.json("show", "interface")["interfaces"]), "our own table is nobody's firewall"
    a.stop()
    wire = wires(lab, capture)
    flood(lab)
    make(lab, "link del wan0\n")
    time.sleep(0.5)
    assert clear_packets(wire) == []
    a.unload()
    assert table not in lab.run("gwA", "nft", "list", "tables").stdout


def test_without_a_backstop_it_is_said_as_long_as_that_lasts(lab, aditd):
    """A table of our name that belongs to somebody else: nftables refuses to change it."""
    a = aditd("gwA", both("A"), files(), start=False)
    table = TABLE.format(a.instance)
    owner = lab.start("gwA", "owner.log", "sh", "-c", f"(echo 'add table inet {table} {{ flags owner; }}'; sleep 120) | nft -i")
    wait_for("it has one", lambda: table in lab.run("gwA", "nft", "list", "tables").stdout, 10)
    a.start()
    told = a.json("status", check=False)["warnings"]
    assert [w for w in told if "nftables: " in w and "while nobody runs" in w], told
    assert a.command("status", check=False).returncode == 1
    assert guarded(lab)
    for pid in lab.pids("gwA"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "nft":
                os.kill(pid, signal.SIGKILL)
    stop(owner)
    wait_for("no longer", lambda: not [w for w in a.json("status", check=False)["warnings"] if "nftables: " in w], 20)
    assert table in lab.run("gwA", "nft", "list", "tables").stdout


@pytest.mark.parametrize("rule, sends", [
    ("permit udp 10.1.1.0/24 -> 10.1.2.0/24 port 9", True),
    ("permit udp 10.1.1.0/24 port 7000-8000 -> 10.1.2.0/24", False),
    ("permit ip 10.1.0.0/16 -> any", True),
    ("deny udp 10.1.1.0/24 -> 10.1.2.0/24 port 9; 9 permit ip 10.1.1.0/24 -> 10.1.2.0/24", False),
])
def test_the_backstop_means_what_the_rules_mean(lab, aditd, capture, rule, sends):
    """sends: the flood is protected, so none of it may pass; else all of it must."""
    acl = f"5 {rule}"
    a = aditd("gwA", adit_conf("A", acl=acl), files())
    a.stop()
    make(lab, "link del wan0\n")
    wire = capture("inet", "any", "net 10.1.0.0/16")
    sender = flood(lab)
    time.sleep(1)
    stop(sender)
    assert bool(clear_packets(wire)) != sends


def test_a_bad_configuration_guards_by_the_last_good_one(lab, aditd, capture):
    """As at a boot: no programs, no pins, no table, and a file that cannot be read."""
    a = aditd("gwA", both("A"), files())
    good = a.conf.read_text()
    a.stop()
    kept = lab.run("gwA", "cat", f"/var/lib/adit/{a.instance}/policy.conf").stdout
    assert kept == good and PSK not in kept
    forget_everything(lab, a)
    a.write(good.replace("encryption", "encrytion", 1))
    done = lab.run("gwA", BUILD / "aditd", "-i", a.instance, "-f", a.conf, check=False)
    assert done.returncode == 1 and "encrytion" in done.stderr and "is blocked, everything else passes" in done.stderr
    wire = wires(lab, capture)
    flood(lab)
    time.sleep(0.5)
    unprotected_flows(lab)
    make(lab, "link del wan0\n")
    time.sleep(0.5)
    unprotected_flows(lab)
    assert clear_packets(wire) == []


def forget_everything(lab, a):
    """What a reboot takes away; what was kept on the disk stays."""
    kept = lab.run("gwA", "cat", f"/var/lib/adit/{a.instance}/policy.conf").stdout
    a.unload()
    lab.run("gwA", "mkdir", "-p", f"/var/lib/adit/{a.instance}")
    lab.run("gwA", "sh", "-c", f"cat > /var/lib/adit/{a.instance}/policy.conf", input=kept)
    assert not guarded(lab)


def test_a_bad_configuration_that_never_was_good_says_so(lab, aditd):
    a = aditd("gwA", both("A").replace("encryption", "encrytion", 1), files(), start=False)
    done = lab.run("gwA", BUILD / "aditd", "-i", a.instance, "-f", a.conf, check=False)
    assert done.returncode == 1 and "nothing is guarded" in done.stderr
    assert "blocked" not in done.stderr.replace("nothing is guarded", "")


def test_guard_only(lab, aditd, capture):
    a = aditd("gwA", both("A"), files(), start=False)
    lab.run("gwA", BUILD / "aditd", "-i", a.instance, "--guard", "-f", a.conf)
    wire = wires(lab, capture)
    flood(lab)
    time.sleep(0.5)
    unprotected_flows(lab)
    assert guarded(lab) and clear_packets(wire) == []


def freeze_fresh_children(a, old):
    """Whoever is started anew is stopped before it can say that it is ready; False: it was faster."""
    children = pathlib.Path(f"/proc/{a.child.pid}/task/{a.child.pid}/children")
    said, frozen = a.text().count("is in force"), set()
    deadline = time.monotonic() + 15
    while len(frozen) < 2 and time.monotonic() < deadline:
        for pid in set(map(int, children.read_text().split())) - old - frozen:
            # A rehearsal ends by itself; only what has the name of a child is one.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("adit-"):
                    os.kill(pid, signal.SIGSTOP)
                    frozen.add(pid)
    time.sleep(0.5)
    return a.text().count("is in force") == said


def test_a_reload_that_fails_lets_nothing_out_where_the_old_one_guards(lab, aditd, capture):
    """The new file names another interface, and its children never come to run."""
    a = aditd("gwA", both("A"), files())
    good = a.conf.read_text()
    lab.run("gwA", "ip", "link", "add", "other0", "type", "veth", "peer", "name", "other1")
    wire = wires(lab, capture)
    flood(lab)
    for _ in range(10):
        a.write(good.replace("interface wan0", "interface other0"))
        old = {a.pid("ike"), a.pid("worker")}
        a.kill("parent", signal.SIGHUP)
        if freeze_fresh_children(a, old):
            break
        stop(wire.child)
        a.write(good)
        a.kill("parent", signal.SIGHUP)
        wait_for("as before", lambda: guarded(lab), 30)
        wire = wires(lab, capture)
    else:
        pytest.fail("its children were always faster")
    wait_for("it went back", lambda: "back to the one before" in a.text(), 60)
    wait_for("the old one answers", a.answers, 30)
    assert guarded(lab) and clear_packets(wire) == []
