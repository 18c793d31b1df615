# SPDX-License-Identifier: BSD-2-Clause
"""aditd --unload: of the instance that is named, all, wherever its pins are, and never that of one that runs."""
import pathlib
import shutil

import pytest

from confs import adit_conf, files
from gateways import BUILD
from netlab import HOST, wait_for

NOTHING, RUNS = 66, 75


@pytest.fixture(params=["tcx", "clsact"])
def mode(request, lab):
    if request.param == "tcx" and lab.tcx("gwA", "list", "wan0", "egress") is None:
        pytest.skip("needs: tcx (Linux 6.6)")
    return request.param


def start(aditd, mode="tcx"):
    return aditd("gwA", adit_conf("A"), files(), start=False).start(tcx=mode == "tcx")


def unload(lab, a, *how):
    return lab.run("gwA", *how, BUILD / "aditd", "-i", a.instance, "--unload", check=False)


def on_interfaces(lab):
    xdp = [l for l in lab.run("gwA", "ip", "-d", "link", "show").stdout.splitlines() if "prog/xdp" in l]
    return lab.tc_programs("gwA", "wan0") + lab.tc_programs("gwA", "wan0", "ingress") + xdp


def pins(a):
    return pathlib.Path("/sys/fs/bpf/adit") / a.instance


def is_all_gone(lab, a):
    devices = lab.run("gwA", "ip", "-br", "link", "show").stdout
    return (on_interfaces(lab) == [] and not pins(a).exists() and f"{a.instance}0" not in devices
            and not pathlib.Path(f"/run/adit/{a.instance}").exists())


def test_refuses_while_the_instance_runs(lab, aditd, mode):
    a = start(aditd, mode)
    before = on_interfaces(lab)
    done = unload(lab, a)
    assert done.returncode == RUNS and f"instance {a.instance} runs" in done.stderr and not done.stdout
    assert on_interfaces(lab) == before and pins(a).exists()
    assert lab.ping("gwA", HOST["B"], 2, 56, 1, "-I", "10.1.1.1") == 0


def test_says_what_it_removed_and_that_nothing_is_left(lab, aditd, mode):
    a = start(aditd, mode)
    a.stop()
    done = unload(lab, a)
    assert done.returncode == 0 and not done.stderr
    for what in (f"wan0: adit_egress ({mode} egress)", "wan0: adit_outside (native XDP)", "lan0: adit_inside",
                 f"the device {a.instance}0", f"maps in {pins(a)}", "nothing of it is left"):
        assert what in done.stdout, what
    assert is_all_gone(lab, a)
    again = unload(lab, a)
    assert again.returncode == NOTHING and "nothing of an instance" in again.stderr


def test_finds_programs_without_pins(lab, aditd, mode):
    a = start(aditd, mode)
    a.stop()
    shutil.rmtree(pins(a))
    done = unload(lab, a)
    assert done.returncode == 0 and "wan0: adit_egress" in done.stdout and "wan0: adit_outside" in done.stdout
    assert is_all_gone(lab, a)


def test_finds_those_of_a_daemon_with_another_sys(lab, aditd):
    """`ip netns exec` gives every command a /sys of its own, and so a file system of pins that nobody else sees."""
    a = start(aditd)
    a.stop()
    netns = f"{lab.prefix}-gwA"
    done = lab.run("hostA", "ip", "netns", "exec", netns, BUILD / "aditd", "-i", a.instance, "--unload", check=False)
    assert done.returncode == 0 and "wan0: adit_egress" in done.stdout
    assert on_interfaces(lab) == []


def test_in_another_namespace_it_says_that_something_is_left(lab, aditd):
    a = start(aditd)
    a.stop()
    done = lab.run("hostA", BUILD / "aditd", "-i", a.instance, "--unload", check=False)
    assert done.returncode == 1 and "network namespace" in done.stderr
    assert "adit_egress" in on_interfaces(lab)
    assert unload(lab, a).returncode == 0 and is_all_gone(lab, a)


def test_one_that_never_was(lab):
    done = lab.run("gwA", BUILD / "aditd", "-i", "neverwas", "--unload", check=False)
    assert done.returncode == NOTHING and "nothing of an instance neverwas is here" in done.stderr
    assert not pathlib.Path("/run/adit/neverwas").exists()


def test_leaves_others_alone(lab, aditd):
    """A running instance on the same host, another instance's leavings, programs that are nobody's."""
    b = aditd("gwB", adit_conf("B"), files())
    a = start(aditd)
    if lab.tcx("gwA", "attach", "wan0", "egress", "adit_egress", 0) is None:
        pytest.skip("needs: tcx (Linux 6.6)")
    a.stop()
    theirs = lab.tc_programs("gwB", "wan0")
    done = unload(lab, a)
    assert done.returncode == 0
    assert lab.tc_programs("gwA", "wan0") == ["adit_egress"], "not of this instance: it has no map that says so"
    assert lab.tc_programs("gwB", "wan0") == theirs == ["adit_egress"]
    wait_for("the other one works", lambda: b.json("status", check=False), 5)
