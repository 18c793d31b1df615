# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark's network and the processes in it.

    S eth0 --- lan0 A wan0 --- a0 M b0 --- wan0 B lan0 --- eth0 T

A and B are gateways, M is the Internet, S and T the ends.  Neighbours are permanent: injected frames are
answered by nobody.  The generator's frames and the receive softirq they cause stay on CPU0.
"""
import json
import os
import select
import subprocess

LINKS = [("S", "eth0", "A", "lan0"), ("A", "wan0", "M", "a0"),
         ("M", "b0", "B", "wan0"), ("B", "lan0", "T", "eth0")]
ADDRESSES = {("S", "eth0"): "10.1.1.2", ("A", "lan0"): "10.1.1.1",
             ("A", "wan0"): "192.0.2.1", ("M", "a0"): "192.0.2.254",
             ("M", "b0"): "198.51.100.254", ("B", "wan0"): "198.51.100.1",
             ("B", "lan0"): "10.1.2.1", ("T", "eth0"): "10.1.2.2"}
ROUTES = {"S": "10.1.1.1", "A": "192.0.2.254", "B": "198.51.100.254", "T": "10.1.2.1"}


def run(*argv, check=True, **more):
    done = subprocess.run(argv, text=True, capture_output=True, timeout=60, **more)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done


class Boxes:
    def __init__(self, prefix):
        self.prefix = prefix
        self.macs = {}

    def ns(self, box):
        return f"{self.prefix}-{box}"

    def inside(self, box):
        """nsenter and not "ip netns exec": that one mounts a new /sys, which hides bpffs."""
        return ["nsenter", f"--net=/run/netns/{self.ns(box)}"]

    def run(self, box, *argv, **more):
        return run(*self.inside(box), *argv, **more)

    def ip(self, box, *argv):
        return run("ip", "-n", self.ns(box), *argv)

    def up(self):
        if run("stat", "-f", "-c", "%T", "/sys/fs/bpf").stdout.strip() != "bpf_fs":
            run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
        for box in "SAMBT":
            run("ip", "netns", "add", self.ns(box))
            self.run(box, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                     "net.ipv6.conf.default.disable_ipv6=1", "net.ipv4.ip_forward=1")
            self.ip(box, "link", "set", "lo", "up")
        for n, (box1, if1, box2, if2) in enumerate(LINKS):
            self.macs[box1, if1] = f"02:00:00:00:{n:02x}:01"
            self.macs[box2, if2] = f"02:00:00:00:{n:02x}:02"
            run("ip", "link", "add", if1, "netns", self.ns(box1), "address", self.macs[box1, if1],
                "type", "veth", "peer", "name", if2, "netns", self.ns(box2), "address", self.macs[box2, if2])
        for (box, ifname), address in ADDRESSES.items():
            self.ip(box, "addr", "add", f"{address}/24", "dev", ifname)
            self.ip(box, "link", "set", ifname, "up")
        for box1, if1, box2, if2 in LINKS:
            self._know(box1, if1, box2, if2)
            self._know(box2, if2, box1, if1)
        for box, via in ROUTES.items():
            self.ip(box, "route", "add", "default", "via", via)
        # Without IPsec the far LAN is behind M: kernel forwarding needs a way to go.
        self.ip("M", "route", "add", "10.1.2.0/24", "via", "198.51.100.1")
        for box in "SM":
            self.ip(box, "link", "add", "anchor", "type", "veth", "peer", "name", "anchor-end")

    def _know(self, box, ifname, peer, peer_if):
        self.ip(box, "neigh", "replace", ADDRESSES[peer, peer_if], "lladdr", self.macs[peer, peer_if],
                "dev", ifname, "nud", "permanent")

    def down(self):
        for box in "SAMBT":
            pids = run("ip", "netns", "pids", self.ns(box), check=False).stdout.split()
            for pid in pids:
                run("kill", "-9", pid, check=False)
            run("ip", "netns", "del", self.ns(box), check=False)


class Process:
    """A child in one box; `with` ends it.  Its stderr goes to a log."""

    def __init__(self, boxes, box, argv, log):
        self.log = log
        with open(log, "a") as err:
            self.child = subprocess.Popen(boxes.inside(box) + [str(a) for a in argv], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=err, text=True, bufsize=1)

    def line(self, timeout=20):
        if not select.select([self.child.stdout], [], [], timeout)[0]:
            raise RuntimeError(f"{self.child.args}: no answer in {timeout} s, see {self.log}")
        text = self.child.stdout.readline().strip()
        if not text:
            raise RuntimeError(f"{self.child.args}: ended, see {self.log}: {open(self.log).read()[-500:]}")
        return text

    def ready(self):
        if self.line() != "ready":
            raise RuntimeError(f"{self.child.args}: not ready, see {self.log}")
        return self

    def ask(self, what):
        self.child.stdin.write(what + "\n")
        self.child.stdin.flush()
        return json.loads(self.line())

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(5)
        self.child.stdin.close()
        self.child.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def pin(pid, cpu):
    """Every thread of a process: a worker has one per queue."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {cpu})
