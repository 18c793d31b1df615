# SPDX-License-Identifier: BSD-2-Clause
"""The harness itself: every way in which a case can go wrong is seen and shown, and nothing is left behind."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = ROOT / "vmtest" / "run"
BUILD = os.environ.get("ADIT_BUILD", str(ROOT / "build"))
FLOOR = "6.1"


@pytest.fixture(scope="module", name="cases")
def _cases(tmp_path_factory):
    """The cases of this test, with a program that the verifier refuses."""
    folder = tmp_path_factory.mktemp("vmtest") / "cases"
    shutil.copytree(ROOT / "tests/vmtest/cases", folder)
    subprocess.run(["clang", "-O2", "-g", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu", "-c",
                    folder / "refused.bpf.c", "-o", folder / "refused.bpf.o"], check=True)
    return folder


def command(cases, *argv):
    return [RUN, "--build", BUILD, "--cases", cases, "--out", cases.parent / "out", *argv]


@pytest.fixture(scope="module", name="told")
def _told(cases):
    """One run of all of them: (exit status, {case: its lines}, the lines from the table on)."""
    done = subprocess.run(command(cases, FLOOR), text=True, capture_output=True, timeout=300, check=False)
    by_case, name = {}, None
    lines, table, end = done.stdout.partition("| case ")
    assert table, done.stdout + done.stderr
    for line in lines.splitlines():
        if m := re.match(rf"  (\w+) +{re.escape(FLOOR)} +(\w+)  ", line):
            name = m[2]
            by_case[name] = [m[1]]
        elif line.startswith("          | ") and name:
            by_case[name].append(line[12:])
    return done.returncode, by_case, end.strip().splitlines()


@pytest.mark.parametrize("case, verdict, line", [
    ("passes", "ok", None),
    ("own", "ok", None),
    ("dies", "FAILED", r"failed: a child of aditd died"),
    ("fails", "FAILED", r"failed: fails\.sh:2: ls /there/is/no/such/file"),
    ("slow", "FAILED", r"not done within 2 s"),
    ("leaks", "FAILED", r"on the wire: the clear text that the hosts send"),
    ("leaks", "FAILED", r"192\.0\.2\.1\.\d+ > 192\.0\.2\.2\.9: UDP"),
    ("leaks", "FAILED", r"0 ESP and 0 ESP-in-UDP packets; raw was wanted"),
    ("silent", "FAILED", r"0 pings between the gateways by ip6; what no rule names was to flow"),
    ("warns", "FAILED", r"WARNING: CPU: 0 PID: 1 at net/core/imagined\.c:1"),
    ("panics", "FAILED", r"Kernel panic - not syncing: sysrq triggered crash"),
    ("refused", "FAILED", r"R1 invalid mem access|invalid access to packet"),
    ("refused", "FAILED", r"-- END PROG LOAD LOG --"),
    ("skips", "skipped", r"skipped: there is nothing to do"),
])
def test_is_seen_and_shown(told, case, verdict, line):
    lines = told[1][case]
    assert lines[0] == verdict
    assert line is None or any(re.search(line, shown) for shown in lines[1:]), "\n".join(lines)


def test_sum(told):
    status, _, end = told
    assert (status, end[-1]) == (1, "2 passed, 8 failed, 1 skipped")


def test_what_failed_is_told_again_at_the_end(told):
    _, by_case, end = told
    at = end.index(f"why fails failed on {FLOOR}:")
    assert end[at + 1].startswith("          | failed: fails.sh:2: ls /there/is/no/such/file")
    failed = {case for case, lines in by_case.items() if lines[0] == "FAILED"}
    assert failed == {line.split()[1] for line in end if line.startswith("why ")}


def test_artefacts(told, cases):
    assert told
    out = cases.parent / "out" / FLOOR
    assert "fails.sh" in (out / "fails" / "output.txt").read_text()
    assert "imagined" in (out / "warns" / "dmesg.txt").read_text()
    assert "sysrq triggered crash" in (out / "panics" / "serial.txt").read_text()
    assert b"this is clear text" in (out / "leaks" / "wire.pcap").read_bytes()


def guests(cases):
    """qemu and tcpdump with this test's folder on their command line."""
    ret = []
    for proc in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = proc.read_bytes()
            if bytes(cases.parent) in line and (b"qemu-system" in line or b"tcpdump" in line):
                ret.append(proc.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return ret


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("signo, status", [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_nothing_left_after(cases, signo, status):
    (cases / "long.sh").write_text("# wire: none\n# boot: queues\nsleep 50\n")
    with subprocess.Popen(command(cases, FLOOR, "long"), stdout=subprocess.PIPE, text=True) as runner:
        line = runner.stdout.readline()
        while line and "booted" not in line:
            line = runner.stdout.readline()
        until(lambda: len(guests(cases)) == 2)  # qemu and the capture
        runner.send_signal(signo)
        assert runner.wait(15) == status
    (cases / "long.sh").unlink()
    until(lambda: not guests(cases))


@pytest.mark.parametrize("argv, says", [
    (("5.4",), r"no kernel '5\.4' in vmtest/kernels; there are 6\.1, "),
    ((FLOOR, "nosuch"), r"no case 'nosuch' in "),
    (("nothing.deb",), r"no file .*nothing\.deb"),
    (("--jobs", "0", FLOOR), r"one guest at a time is the least"),
    (("--build", "/nowhere", FLOOR, "passes"), r"/nowhere/aditd is not there: run make first"),
])
def test_a_wrong_name_is_told(cases, argv, says):
    done = subprocess.run(command(cases, *argv), text=True, capture_output=True, timeout=30, check=False)
    assert done.returncode == 2 and re.search(says, done.stderr), done.stderr


@pytest.mark.parametrize("header, says", [
    ("wire: wet", r"case odd\.sh: wire is 'wet', must be one of raw, udp, any, none"),
    ("boot: twice", r"case odd\.sh: boot is 'twice', must be one of hub, queues"),
    ("limit: soon", r"case odd\.sh: limit is 'soon', must be a number of seconds"),
])
def test_a_wrong_header_is_told(cases, header, says):
    (cases / "odd.sh").write_text(f"# {header}\n")
    done = subprocess.run(command(cases, FLOOR), text=True, capture_output=True, timeout=30, check=False)
    (cases / "odd.sh").unlink()
    assert done.returncode == 2 and re.search(says, done.stderr), done.stderr
