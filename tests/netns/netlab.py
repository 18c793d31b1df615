# SPDX-License-Identifier: BSD-2-Clause
"""tests/lab.sh for pytest: one lab, what runs in it, and what is kept when a test fails."""
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
NO_TCX = 3  # exit code of tcx.py
LAB_SH = ROOT / "tests" / "lab.sh"
HOST = {"A": "10.1.1.2", "B": "10.1.2.2"}
HOST6 = {"A": "fd00:1:1::2", "B": "fd00:1:2::2"}
LAN = {"A": "10.1.1.0/24", "B": "10.1.2.0/24"}
LAN6 = {"A": "fd00:1:1::/64", "B": "fd00:1:2::/64"}
WAN = {"A": "192.0.2.1", "B": "198.51.100.1"}  # as seen from the Internet
WAN6 = {"A": "2001:db8:a::1", "B": "2001:db8:b::1"}
BEHIND_NAT = "172.16.0.1"  # what gwA itself has there
LOG_TAIL = 40

_numbers = itertools.count()


def wait_for(what, condition, timeout=10.0, every=0.1):
    """The first true value of condition(), or an AssertionError that says what did not happen."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(every)
    return value


class Lab:
    """Names of boxes: hostA gwA nat inet gwB hostB.  nat=True puts a masquerading box in front of gwA."""

    def __init__(self, nat=False):
        self.nat = nat
        # Short: it becomes part of instance names, which become part of interface names.
        # As many digits for the process always, or two processes could mean the same.
        self.prefix = f"t{os.getpid() % 100000:05}{next(_numbers)}"
        # Short too: the path of a UNIX socket has 107 octets.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"adit-{self.prefix}-"))
        self.children = []
        self.gateways = {}  # box: what the aditd fixture made there last

    def up(self):
        done = subprocess.run([LAB_SH, "up", self.prefix] + (["nat"] if self.nat else []), text=True,
                              capture_output=True, timeout=60)
        assert done.returncode == 0, f"lab.sh: {done.stderr}"

    def down(self):
        for child in reversed(self.children):
            stop(child)
        for gateway in self.gateways.values():
            gateway.unload()
        subprocess.run([LAB_SH, "down", self.prefix], timeout=60, check=False)

    def forget(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def inside(self, box, *argv):
        return ["nsenter", f"--net=/run/netns/{self.prefix}-{box}", *map(str, argv)]

    def run(self, box, *argv, timeout=30, check=True, **more):
        done = subprocess.run(self.inside(box, *argv), text=True, capture_output=True, timeout=timeout, **more)
        if check:
            assert done.returncode == 0, f"{box}: {' '.join(map(str, argv))}: {done.stdout}{done.stderr}"
        return done

    def start(self, box, log, *argv, **more):
        """A child that the lab ends; what it says goes to DIR/log."""
        with open(self.dir / log, "a") as out:
            child = subprocess.Popen(self.inside(box, *argv), stdout=out, stderr=subprocess.STDOUT,
                                     stdin=subprocess.DEVNULL, **more)
        self.children.append(child)
        return child

    def pids(self, box):
        done = subprocess.run(["ip", "netns", "pids", f"{self.prefix}-{box}"], text=True, capture_output=True,
                              timeout=10, check=False)
        return [int(pid) for pid in done.stdout.split()]

    # ---- TC programs ------------------------------------------------------------------------

    def tcx(self, box, *argv, check=True):
        """tests/netns/tcx.py there; None on a kernel that has no tcx."""
        done = self.run(box, PYTHON, HERE / "tcx.py", *argv, check=False)
        if done.returncode == NO_TCX:
            return None
        assert not check or done.returncode == 0, f"{box}: tcx {argv}: {done.stderr}"
        return done.stdout.split()

    def clsact(self, box, ifname, direction="egress"):
        """The programs of filters there, in their order."""
        told = self.run(box, "tc", "filter", "show", "dev", ifname, direction, check=False).stdout
        return re.findall(r"bpf chain 0 handle .* name (\S+)", told)

    def tc_programs(self, box, ifname, direction="egress"):
        """Everything that is asked, in the order in which it is."""
        return (self.tcx(box, "list", ifname, direction) or []) + self.clsact(box, ifname, direction)

    # ---- traffic ----------------------------------------------------------------------------

    def ping(self, box, to, count=3, size=56, wait=1, *more):
        """How many of count were answered."""
        done = self.run(box, "ping", "-n", "-c", count, "-i", "0.1", "-W", wait, "-s", size, *more, to,
                        check=False, timeout=count * (wait + 1) + 10)
        return done.stdout.count(" bytes from ")

    def iperf(self, client, server, to, seconds=2, *more):
        """One iperf3 run; bits per second that the receiver saw."""
        port = 5201 + next(_numbers)
        serving = self.start(server, "iperf3-server.log", "iperf3", "-s", "-1", "-p", port)
        try:
            wait_for("iperf3 listens", lambda: f":{port}" in self.run(server, "ss", "-ltn").stdout, 5)
            done = self.run(client, "iperf3", "-c", to, "-p", port, "-t", seconds, "--connect-timeout", 3000,
                            "-J", *more, check=False, timeout=seconds + 20)
        finally:
            stop(serving)
        told = json.loads(done.stdout)
        assert "error" not in told, f"iperf3: {told['error']}"
        total = told["end"].get("sum_received") or told["end"]["sum"]
        return total["bits_per_second"]

    # ---- after a failure --------------------------------------------------------------------

    def story(self):
        """The end of every log, for the report of a failed test."""
        parts = [f"artefacts kept in {self.dir}"]
        for path in sorted(self.dir.rglob("*.log")):
            lines = path.read_text(errors="replace").splitlines()
            parts.append(f"--- {path.relative_to(self.dir)} (last {LOG_TAIL} of {len(lines)} lines)")
            parts += lines[-LOG_TAIL:]
        for box in ("gwA", "gwB"):
            for what in (("addr",), ("route",), ("-s", "link")):
                done = self.run(box, "ip", "-br" if what == ("addr",) else "-d", *what, check=False)
                parts.append(f"--- {box}: ip {' '.join(what)}\n{done.stdout}")
        return "\n".join(parts)


def stop(child, timeout=5):
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.kill()
    child.wait(timeout)
    return child.returncode
