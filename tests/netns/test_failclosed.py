# SPDX-License-Identifier: BSD-2-Clause
"""Nothing that policy protects leaves in clear, whatever dies, and everything else keeps flowing."""
import os
import pathlib
import re
import time

import pytest

from confs import adit_conf, files
from gateways import BUILD
from netlab import HOST, wait_for

LEAK = "net 10.1.0.0/16"  # inner addresses have no business in the middle


def start_both(aditd, **conf):
    b = aditd("gwB", adit_conf("B", **conf), files())
    a = aditd("gwA", adit_conf("A", **conf), files())
    return a, b


def flood(lab):
    """Pings from both sides and from the gateway, all the time, for as long as the test runs."""
    lab.start("hostA", "flood-a.log", "ping", "-n", "-i", "0.005", "-w", "120", HOST["B"])
    lab.start("hostB", "flood-b.log", "ping", "-n", "-i", "0.005", "-w", "120", HOST["A"])
    lab.start("gwA", "flood-gw.log", "ping", "-n", "-i", "0.01", "-w", "120", "-I", "10.1.1.1", HOST["B"])


def test_without_an_sa_nothing_leaves(lab, aditd, capture):
    aditd("gwA", adit_conf("A"), files())  # nobody answers at the other end
    leak = capture("inet", "a0", LEAK)
    assert lab.ping("hostA", HOST["B"], 5) == 0
    assert lab.ping("gwA", HOST["B"], 3, 56, 1, "-I", "10.1.1.1") == 0
    assert lab.ping("gwA", "192.0.2.254", 2) == 2
    assert not sum(leak.names().values())


@pytest.mark.parametrize("role", ["worker", "ike", "parent"])
def test_kill_under_traffic(lab, aditd, capture, role):
    a, _ = start_both(aditd, dpd="idle 2s; interval 1s; retries 2")
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    leaks = [capture("inet", "a0", LEAK), capture("inet", "b0", LEAK)]
    flood(lab)
    time.sleep(0.5)
    children = {a.pid("ike"), a.pid("worker")}
    a.kill(role)
    assert lab.ping("gwA", "192.0.2.254", 5) == 5, "unrelated traffic goes on"
    if role == "parent":
        wait_for("the children went with it", lambda: not children & set(lab.pids("gwA")), 5)
        time.sleep(1)
        assert lab.ping("gwA", "192.0.2.254", 3) == 3
        a.start()
    wait_for("the tunnel is back", lambda: lab.ping("hostA", HOST["B"], 1), 30)
    assert lab.ping("hostA", HOST["B"], 5) == 5
    for leak in leaks:
        assert not sum(leak.names().values()), f"clear text crossed after {role} died"


@pytest.mark.parametrize("role", ["ike", "parent"])
def test_its_own_traffic_brings_the_tunnel_back(lab, aditd, role):
    """The peer neither calls nor sends, and a flow that never pauses, on any CPU, had an SA of the one who died."""
    a, _ = start_both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    for cpu in os.sched_getaffinity(0):
        lab.start("hostA", f"flood-{cpu}.log", "taskset", "-c", str(cpu), "ping", "-n", "-i", "0.005", "-w", "120", HOST["B"])
    time.sleep(0.5)
    children = {a.pid("ike"), a.pid("worker")}
    a.kill(role)
    if role == "parent":
        wait_for("the children went with it", lambda: not children & set(lab.pids("gwA")), 5)
        a.start()
    wait_for("the tunnel is back", lambda: lab.ping("hostA", HOST["B"], 1), 30)


def test_kill_again_and_again_while_starting(lab, aditd, capture):
    a, _ = start_both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    leak = capture("inet", "a0", LEAK)
    flood(lab)
    for pause in (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5):
        a.kill("parent")
        a.child.wait(5)
        a.child = lab.start("gwA", a.log.name, BUILD / "aditd", "-f", a.conf, "-i", a.instance)
        time.sleep(pause)
    assert lab.ping("gwA", "192.0.2.254", 3) == 3
    assert not sum(leak.names().values())


def test_orderly_stop_keeps_the_guard_and_unload_removes_it(lab, aditd, capture):
    a, b = start_both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    leak = capture("inet", "a0", LEAK)
    assert a.stop() == 0
    wait_for("the peer was told", lambda: b.json("show", "sa")["sas"] == [], 5)
    assert lab.ping("hostA", HOST["B"], 3) == 0
    assert not sum(leak.names().values())
    lab.run("gwA", BUILD / "aditd", "-i", a.instance, "--unload")
    assert not pathlib.Path(f"/sys/fs/bpf/adit/{a.instance}").exists()
    clear = capture("inet", "a0", LEAK)
    lab.ping("hostA", HOST["B"], 2)
    assert sum(clear.names().values()), "without programs the kernel routes as it always did"


def test_clear_text_from_outside_is_not_let_in(lab, aditd, capture):
    start_both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    inside = capture("hostA", "eth0", "icmp and src host 10.1.2.77")
    lab.run("inet", "ip", "addr", "add", "10.1.2.77/32", "dev", "lo")
    lab.run("inet", "ip", "route", "add", "10.1.1.0/24", "via", "192.0.2.1")
    lab.ping("inet", HOST["A"], 3, 56, 1, "-I", "10.1.2.77")
    assert not sum(inside.names().values())


def test_bad_configuration_changes_nothing(lab, aditd, adit):
    a, _ = start_both(aditd)
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    good, spis = a.conf.read_text(), {s["spi"] for s in adit("gwA", "show sa")["sas"]}
    a.write(good.replace("encryption aes256gcm16; prf", "encrytion aes256gcm16; prf"))
    a.kill("parent", 1)
    wait_for("the error is reported", lambda: 'did you mean "encryption"' in a.text(), 5)
    assert {s["spi"] for s in adit("gwA", "show sa")["sas"]} == spis
    a.write(good)
    a.kill("parent", 1)
    wait_for("reloaded", lambda: "is in force" in a.text(), 10)
    wait_for("the tunnel is back", lambda: lab.ping("hostA", HOST["B"], 1), 20)


def test_processes_have_given_up_their_rights(lab, aditd):
    a, _ = start_both(aditd)
    for role in ("ike", "worker"):
        status = pathlib.Path(f"/proc/{wait_for(role, lambda: a.pid(role), 5)}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split()[0] != "0" and fields["Gid"].split()[0] != "0"
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == int(fields["CapBnd"], 16) == 0
        assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2" and fields["Groups"].strip() == ""


def test_world_readable_key_is_refused(lab, aditd, adit, capture):
    """What others can read is no key: its peer has no tunnel, and the rest is as always (test_keys.py)."""
    aditd("gwB", adit_conf("B"), files())
    a = aditd("gwA", adit_conf("A"), files(), start=False)
    leak = capture("inet", "a0", LEAK)
    (a.dir / "gw.psk").chmod(0o644)
    a.start()
    assert lab.ping("hostA", HOST["B"], 3) == 0
    failure = adit("gwA", "show errors")["failures"][0]
    assert failure["peer"] == "gwB" and failure["current"] and "chmod 600" in failure["text"]
    assert lab.ping("gwA", "192.0.2.254", 2) == 2
    assert a.command("check", a.conf, check=False).returncode == 2
    assert not sum(leak.names().values())


def test_a_reload_that_comes_too_early_waits(lab, aditd):
    """SIGHUP in the first milliseconds, as a script that writes, starts and reloads sends it."""
    a = aditd("gwA", adit_conf("A"), files(), start=False)
    for pause in (0, 0.005, 0.02, 0.05, 0.1):
        a.child = lab.start("gwA", a.log.name, BUILD / "aditd", "-f", a.conf, "-i", a.instance)
        time.sleep(pause)
        # Not before it is Adit that hears it: until then it is the launcher's.
        wait_for("it is aditd", lambda: pathlib.Path(f"/proc/{a.child.pid}/comm").read_text().strip() == "aditd", 5, 0.001)
        wait_for("it has begun", lambda: int(signals_blocked(a.child.pid), 16) & 1, 5, 0.001)
        a.kill("parent", 1)
        wait_for("it answers", a.answers, 20)
        assert a.stop() == 0


def signals_blocked(pid):
    return re.search(r"^SigBlk:\s*(\S+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]
