# SPDX-License-Identifier: BSD-2-Clause
"""The host that things happen to: gateway A of the lab.  What is believed of its state, and the words that steps are
made of.  The state is what steps made it, not what the kernel says: a seed must lead to the same steps on a slow machine."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import policy
from confs import OTHER
from gateways import BUILD, Aditd
from netlab import HERE, HOST, HOST6, PYTHON, WAN, WAN6, wait_for
from policy import BROADCAST
from traffic import INTERNET, INTERNET6, LAN_MACS, OUTER_MAC, lan, lan6, names

WIRE_MAC = "02:ad:17:00:00:fe"  # of a0
TRUNK, TRUNK_END = "trunk0", "trunk1"  # a wire that stays; policy interfaces are made upon it
OTHER_ADDRESS, OTHER_ADDRESS6 = "192.0.2.7", "2001:db8:a::7"
HOP, HOP6 = WAN["A"][:-1] + "254", WAN6["A"].replace("::1", "::254")
FREE = [("a0", "free-out"), ("a0", "free-out6"), ("a0", "free-through"), ("gwA", "free-in"), ("gwA", "free-in6")]
TUNNEL = [(box, kind) for box in ("hostA", "hostB") for kind in ("udp", "udp6")]
TUNNEL_BACK, FLOWS_BACK = 60, 30
GUARD_BACK = 15  # seconds; design.md says one, a loaded machine says more


def hangup_waits(pid):
    blocked = re.search(r"^SigBlk:\s*(\S+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(blocked[1], 16) & 1 << signal.SIGHUP - 1


class Host:
    def __init__(self, lab, judge, log, tcx=True):
        self.lab, self.judge, self.log, self.tcx = lab, judge, log, tcx
        self.pins = pathlib.Path(f"/sys/fs/bpf/hunt-{lab.prefix}")
        self.adit = {side: Aditd(lab, f"gw{side}", policy.conf(side), policy.keys()) for side in "AB"}
        lab.gateways = {f"gw{side}": gateway for side, gateway in self.adit.items()}
        self.kind = None      # of wan0: a row of MAKE; None: there is none
        self.index = 0        # that wan0 had last
        self.ready = False    # it was seen at work since it was started
        self.has_programs = False  # of ours, on wan0
        self.running = False  # the daemon of A
        self.failures = []    # what is wrong beside packets: (what, why)

    # ---- words ------------------------------------------------------------------------------

    def run(self, *argv, box="gwA", check=True):
        return self.lab.run(box, *argv, check=check)

    def batch(self, *lines, box="gwA", check=True):
        """Many commands of ip in one process: nobody gets a word in between."""
        done = self.lab.run(box, "ip", "-force", "-batch", "-", input="\n".join(lines) + "\n", check=False)
        assert not check or done.returncode == 0, f"{box}: ip -batch: {done.stderr}"

    def inet(self, *lines, check=True):
        self.batch(*lines, box="inet", check=check)

    def wait(self, what, condition, timeout):
        """Like wait_for, but what does not happen is a finding."""
        began = time.monotonic()
        try:
            wait_for(what, condition, timeout, 0.05)
        except AssertionError:
            self.failures.append((what, f"not within {timeout} s"))
        return time.monotonic() - began

    # ---- the lab ----------------------------------------------------------------------------

    def prepare(self):
        """What is needed beyond tests/lab.sh: errors of every kind, known MAC addresses, the trunk, a place to be moved to."""
        for box in ("gwA", "gwB", "hostA", "hostB"):
            self.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0",
                     "net.ipv4.icmp_echo_ignore_broadcasts=0", box=box)
        self.lab.run("inet", "ip", "link", "set", "b0", "address", WIRE_MAC)
        self.lab.run("gwB", "ip", "link", "set", "wan0", "address", OUTER_MAC["B"])
        for side, (host, gw) in LAN_MACS.items():
            self.batch(f"link set eth0 address {host}", *self.silence(side), box=f"host{side}")
            self.batch(f"link set lan0 address {gw}", *self.dress_lan(side), box=f"gw{side}")
        self.inet(f"addr add {INTERNET}/32 dev lo", f"addr add {INTERNET6}/128 dev lo",
                  f"link add {TRUNK_END} address {WIRE_MAC} type veth peer name {TRUNK} netns {self.lab.prefix}-gwA",
                  f"link set {TRUNK_END} up")
        self.remove()
        self.batch(f"link set {TRUNK} up")
        self.run("sysctl", "-qw", f"net.ipv4.conf.{TRUNK}.arp_ignore=1")  # it is not wan0 and does not answer for it
        subprocess.run(["ip", "netns", "add", f"{self.lab.prefix}-away"], check=True)
        self.make("veth")

    def close(self):
        subprocess.run(["ip", "netns", "del", f"{self.lab.prefix}-away"], check=False, capture_output=True)
        shutil.rmtree(self.pins, ignore_errors=True)

    @staticmethod
    def dress_lan(side):
        return ("link set lan0 up", f"addr replace {lan(side, 1)}/24 dev lan0", f"addr replace {lan6(side, 1)}/64 dev lan0 nodad",
                f"route replace {lan(side, 200)}/32 dev lan0 mtu 700", f"route replace {lan6(side, 200)}/128 dev lan0 mtu 1300",
                f"route replace unreachable {lan(side, 201)}/32", f"route replace unreachable {lan6(side, 201)}/128",
                f"route replace unreachable {BROADCAST[OTHER[side]]}")  # or it would be sent on, and no rule wants that protected

    @staticmethod
    def silence(side):
        """A host answers no spoofer: answers to what an exemption let in would come back as errors when it is over."""
        return [f"route replace blackhole {address}" for address in (names(side)["liar"], names(side)["liar6"])]

    def remake_lan(self):
        host, gw = LAN_MACS["A"]
        self.batch("link del lan0", f"link add lan0 address {gw} type veth peer name eth0 address {host} netns {self.lab.prefix}-hostA",
                   *self.dress_lan("A"))
        self.batch("link set eth0 up", f"addr add {HOST['A']}/24 dev eth0", f"addr add {HOST6['A']}/64 dev eth0 nodad",
                   f"route replace default via {lan('A', 1)}", f"route replace default via {lan6('A', 1)}", box="hostA")

    # ---- the policy interface ---------------------------------------------------------------

    @staticmethod
    def dress():
        """All that wan0 needs to carry packets, in the order of a script that is in a hurry."""
        return ("link set wan0 up", f"addr replace {WAN['A']}/24 dev wan0", f"addr replace {WAN6['A']}/64 dev wan0 nodad",
                f"neigh replace {HOP} lladdr {WIRE_MAC} dev wan0", f"neigh replace {HOP6} lladdr {WIRE_MAC} dev wan0",
                f"route replace default via {HOP}", f"route replace default via {HOP6}")

    @staticmethod
    def dress_far(ifname="a0"):
        return (f"link set {ifname} up", f"addr replace {HOP}/24 dev {ifname}", f"addr replace {HOP6}/64 dev {ifname} nodad")

    def wire(self, near, far, index=""):
        return f"link add {near} {index} address {OUTER_MAC['A']} type veth peer name {far} address {WIRE_MAC} netns {self.lab.prefix}-inet"

    def make(self, how, first=()):
        """wan0, of a kind that a row of MAKE says; KIND+index: with the index that it had before.  first: in the same
        batch, before it."""
        kind, _, same = how.partition("+")
        index = f"index {self.index}" if same and self.index else ""
        before, lines, after = MAKE[kind]
        before(self, index)
        self.batch(*first, *(line.format(index=index, mac=OUTER_MAC["A"], wire=self.wire("wan0", "a0", index)) for line in lines),
                   *self.dress())
        after(self)
        self.kind, self.index, self.has_programs = kind, self.index_now(), self.ready

    def index_now(self):
        return int(self.run("ip", "-o", "link", "show", "wan0").stdout.split(":", 1)[0])

    def remove(self):
        self.park_far()
        self.batch("link del wan0")

    def park_far(self):
        """Makes room for the far end of another wire; this one's goes with wan0, or is the trunk's."""
        if self.kind in ON_TRUNK:
            self.inet("addr flush dev a0", f"link set a0 name {TRUNK_END}")
        else:
            self.inet("link set a0 name gone0")
        self.kind = None

    def use_trunk(self):
        self.inet(f"link set {TRUNK_END} name a0", *self.dress_far())

    # ---- the daemon -------------------------------------------------------------------------

    def start(self, side="A"):
        """As an init system would: nobody waits for it."""
        a = self.adit[side]
        how = () if self.tcx else (PYTHON, HERE / "without_tcx.py")
        a.child = self.lab.start(a.box, a.log.name, *how, BUILD / "aditd", "-f", a.conf, "-i", a.instance)
        if side == "A":
            self.running, self.ready = True, False

    def stop(self, side="A"):
        if side == "A":
            self.running = self.ready = False
        return self.adit[side].stop()

    def kill(self, role, side="A"):
        """-9.  A child that does not run at this moment is not missed."""
        a = self.adit[side]
        roles = ("parent", "ike", "worker") if role == "all" else (role,)
        for pid in [a.pid(r) for r in roles]:
            if pid:
                os.kill(pid, signal.SIGKILL)
        if "parent" in roles:
            a.child.wait(10)
            if side == "A":
                self.running = self.ready = False

    def reload(self):
        pid = self.adit["A"].child.pid
        # Before its first line it is not Adit that hears: a program that is only just begun ends by any SIGHUP.
        wait_for("it has begun", lambda: hangup_waits(pid), 10, 0.005)
        os.kill(pid, signal.SIGHUP)

    # ---- what has to hold beside the packets -------------------------------------------------

    def flows(self):
        """What no rule matches gets through, both ways, as soon as there is an interface."""
        if self.kind is not None:
            self.arrive("what no rule matches gets through", FREE, FLOWS_BACK)

    def tunnel_returns(self):
        self.arrive("the tunnel comes back by itself", TUNNEL, TUNNEL_BACK)
        self.ready = self.has_programs = True

    def arrive(self, what, kinds, timeout):
        """Each of these kinds at its place, from now on."""
        since = time.time()
        missing = set(kinds)

        def all_there():
            missing.difference_update([k for k in missing if self.judge.last.get(k, 0) > since])
            return not missing
        self.wait(what, all_there, timeout)
        if missing:
            self.failures[-1] = what, f"not within {timeout} s: {', '.join(f'{kind} at {box}' for box, kind in sorted(missing))}"

    def lives(self):
        """The daemon does not end by itself."""
        child = self.adit["A"].child
        if self.running and child.poll() is not None:
            self.failures.append(("the daemon runs", f"it ended by itself with {child.returncode}"))

    def guards(self):
        """Whether our programs are there and are asked first."""
        first = {way: self.lab.tc_programs("gwA", "wan0", way)[:1] for way in ("egress", "ingress")}
        if first["egress"] != ["adit_egress"]:
            return False
        if self.kind == "tun":  # nothing of Ethernet: no XDP
            return first["ingress"] and first["ingress"][0].startswith("adit_")
        return "adit_outside" in self.run("ip", "-d", "link", "show", "wan0").stdout

    def guard_returns(self, why):
        took = self.wait(f"after {why} ours decides first again", self.guards, GUARD_BACK)
        self.log(f"    after {why} ours was back within {took:.2f} s")


def nothing(host, index=""):
    pass


def renamed(host, index):
    """Everything but the name is there already."""
    host.batch(host.wire("new0", "a0", index))
    host.inet(*host.dress_far())


def wire_of_tun(host, index):
    """Like ppp: no Ethernet.  A process carries the packets, and ends with its devices."""
    log = "tunwire.log"
    before = host.lab.dir / log
    seen = before.read_text().count("ready") if before.exists() else 0
    host.lab.start("gwA", log, PYTHON, HERE / "tunwire.py", "new0", f"{host.lab.prefix}-gwA", f"{host.lab.prefix}-inet")
    wait_for("tunwire is ready", lambda: before.read_text().count("ready") > seen, 10, 0.02)
    host.inet("link set new0 name a0", *host.dress_far())


# What happens before, in the one batch that also dresses it, and after.
MAKE = {
    "veth": (nothing, ("{wire}",), lambda host: host.inet(*host.dress_far())),
    "renamed": (renamed, ("link set new0 name wan0",), nothing),
    "tun": (wire_of_tun, ("link set new0 name wan0",), nothing),
    "macvlan": (lambda host, _: host.use_trunk(),
                (f"link add link {TRUNK} name wan0 {{index}} address {{mac}} type macvlan mode bridge",), nothing),
    "bridge": (lambda host, _: host.use_trunk(),
               ("link add name wan0 {index} address {mac} type bridge", f"link set {TRUNK} master wan0"), nothing),
}
ON_TRUNK = ("macvlan", "bridge")
