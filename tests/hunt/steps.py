# SPDX-License-Identifier: BSD-2-Clause
"""What can happen to a host: a table.  A step leaves the host so that the next can be taken; what it needs is asked before.

In a replay a step is NAME/VARIANT@SECONDS; the time is what it waits in its middle, if it has one, and after it.
"""
import collections
import contextlib
import os
import signal
import time

from gateways import BUILD
from host import HOP, HOP6, OTHER_ADDRESS, OTHER_ADDRESS6, OUTER_MAC, TRUNK, WIRE_MAC
from netlab import HERE, LAN, LAN6, PYTHON, WAN

Step = collections.namedtuple("Step", "name weight variants possible do")
RULES_BACK = 1.5  # seconds that the daemon gets to write its netfilter rules again before something else happens


def always(host):
    return True


def there(host):
    return host.kind is not None


def absent(host):
    return host.kind is None


def guarded(host):
    return there(host) and host.running


def has_programs(host):
    """Ours are on this very device.  One that was made with nobody there is known to the backstop by its name alone, so
    it is not given another, nor anything put upon it."""
    return there(host) and host.has_programs


def may_be_moved(host):
    """A bridge may not.  Without tcx a device comes back without our filter, but with the index and the group that the
    backstop knows it by: somebody has to be there who sees it."""
    return host.kind in ("veth", "renamed", "macvlan") and (host.tcx or host.running)


def has_ethernet(host):
    return guarded(host) and host.kind != "tun"


def running(host):
    return host.running


def stopped(host):
    return not host.running


# ---- the policy interface -----------------------------------------------------------------------

def remove(host, variant, gap):
    host.remove()


def make(host, variant, gap):
    host.make(variant)


def remake(host, variant, gap):
    host.remove()
    time.sleep(gap)
    host.make(variant)


def remake_at_once(host, variant, gap):
    """Gone and there again in one batch; the wire of what is made on the trunk stays up all the time."""
    host.park_far()
    host.make(variant, first=("link del wan0",))


def swap(host, variant, gap):
    """Another device takes the name, and everything with it, in one batch."""
    host.batch(host.wire("new0", "a1"))
    host.inet(*host.dress_far("a1"))
    host.batch("link set wan0 down", "link set wan0 name old0", "link set new0 name wan0", *host.dress())
    time.sleep(gap)
    host.park_far()
    host.batch("link del old0")
    host.inet("link set a1 name a0")
    host.kind, host.index, host.has_programs = "veth", host.index_now(), host.ready


def rename(host, variant, gap):
    """Away and back, with its addresses and routes on it or not."""
    down = ["link set wan0 down"] if variant == "down" else []
    host.batch(*down, "link set wan0 name old0")
    time.sleep(gap)
    host.batch("link set old0 name wan0", *host.dress())


def namespace(host, variant, gap):
    host.batch(f"link set wan0 netns {host.lab.prefix}-away")
    time.sleep(gap)
    host.batch(f"link set wan0 netns {host.lab.prefix}-gwA", box="away")
    host.batch(*host.dress())
    host.has_programs = host.ready
    host.index = host.index_now()


def down_up(host, variant, gap):
    if variant == "at-once":
        host.batch("link set wan0 down", *host.dress())
        return
    host.batch("link set wan0 down")
    time.sleep(gap)
    host.batch(*host.dress())


def carrier(host, variant, gap):
    host.inet("link set a0 down")
    time.sleep(gap)
    host.inet(*host.dress_far())


def there_and_back(lines, back=()):
    """The row of a step that runs one batch, waits, and runs another before everything is as it was."""
    def do(host, variant, gap):
        host.batch(*lines[variant])
        time.sleep(gap)
        host.batch(*dict(back).get(variant, ()), *host.dress())
    return do


ADDRESS = {
    "flush": ("addr flush dev wan0 scope global",),
    "other": (f"addr del {WAN['A']}/24 dev wan0", f"addr add {OTHER_ADDRESS}/24 dev wan0", f"route replace default via {HOP}"),
    "more": (f"addr add {OTHER_ADDRESS}/24 dev wan0",),
}
ADDRESS_BACK = {"other": (f"addr del {OTHER_ADDRESS}/24 dev wan0",), "more": (f"addr del {OTHER_ADDRESS}/24 dev wan0",)}
ROUTE = {
    "none": ("route del default", f"route del default via {HOP6}"),
    "direct": (f"route add {LAN['B']} via {HOP} dev wan0", f"route add {LAN6['B']} via {HOP6} dev wan0"),
    "device": ("route replace default dev wan0", f"neigh replace 10.1.2.2 lladdr {WIRE_MAC} dev wan0"),
}
ROUTE_BACK = {"direct": (f"route del {LAN['B']} via {HOP} dev wan0", f"route del {LAN6['B']} via {HOP6} dev wan0"),
              "device": ("neigh del 10.1.2.2 dev wan0",)}
DEVICE = {"mtu": ("link set wan0 mtu 1400",), "mac": ("link set wan0 address 02:ad:17:00:00:cc",), "promisc": ("link set wan0 promisc on",)}
DEVICE_BACK = {"mtu": ("link set wan0 mtu 1500",), "mac": (f"link set wan0 address {OUTER_MAC['A']}",),
               "promisc": ("link set wan0 promisc off",)}


STACKED = {
    "macvlan": ("link add link wan0 name top0 type macvlan mode bridge",),
    "bridge": ("link add name top0 type bridge", "link set wan0 master top0", f"addr del {WAN['A']}/24 dev wan0"),
}


def stacked(host, variant, gap):
    """Something upon the policy interface has the addresses and the routes; the packets leave by the policy interface."""
    host.batch(*STACKED[variant], "link set top0 up", f"addr add {OTHER_ADDRESS}/24 dev top0", f"addr add {OTHER_ADDRESS6}/64 dev top0 nodad",
               f"neigh replace {HOP} lladdr {WIRE_MAC} dev top0", f"neigh replace {HOP6} lladdr {WIRE_MAC} dev top0",
               f"route replace default via {HOP} dev top0", f"route replace default via {HOP6} dev top0")
    time.sleep(gap)
    host.batch("link del top0", *host.dress())


def unseen(host, variant, gap):
    """The parent does not run while it happens, as on a machine that is very busy."""
    pid = host.adit["A"].child.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        if variant in BY_NAME:
            BY_NAME[variant].do(host, "down", gap)
        else:
            remake_at_once(host, variant, gap)
        time.sleep(gap)
    finally:
        os.kill(pid, signal.SIGCONT)


def inside(host, variant, gap):
    if variant == "remake":
        host.remake_lan()
        return
    host.batch("link set lan0 down")
    time.sleep(gap)
    host.batch(*host.dress_lan("A"))


def trunk(host, variant, gap):
    host.batch(f"link set {TRUNK} down")
    time.sleep(gap)
    host.batch(f"link set {TRUNK} up", *(host.dress() if there(host) else ()))


# ---- strangers ----------------------------------------------------------------------------------

def tc(host, *argv):
    """May fail, where ours is in its way; that is told."""
    done = host.run("tc", *argv, check=False)
    if done.returncode:
        host.log(f"     tc {' '.join(map(str, argv))}: {done.stderr.strip()}")


def qdisc(host, variant, gap):
    """A shaper, or a hook of somebody else's; deleting clsact takes our filter where we have no tcx."""
    what = {"tbf": ("root", "tbf", "rate", "50mbit", "burst", "64k", "latency", "50ms"), "pfifo": ("root", "pfifo"),
            "clsact": ("clsact",), "ingress": ("ingress",)}[variant]
    with our_hook_taken(host, "a qdisc was deleted", variant in ("clsact", "ingress") and not host.tcx):
        tc(host, "qdisc", "replace", "dev", "wan0", *what)
        time.sleep(gap)
        tc(host, "qdisc", "del", "dev", "wan0", what[0] if variant in ("clsact", "ingress") else "root")


@contextlib.contextmanager
def our_hook_taken(host, why, really=True, ways=("out", "in", "answered")):
    """design.md, "The guard is watched": somebody with root's rights takes our program off or puts another in front of
    it, and is not stopped but noticed."""
    if not really or not guarded(host):
        yield
        return
    with host.judge.exempt(why, *ways):
        yield
        host.guard_returns(why)


def pinned(host, name):
    """A stranger's program: it says OK to everything."""
    path = host.pins / name
    if not path.exists():
        host.pins.mkdir(exist_ok=True)
        host.run(PYTHON, HERE / "tcx.py", "pin", path, "xdp" if name == "xdp" else "tc")
    return path


def foreign_filter(host, variant, gap):
    """Of priority 1, where ours is without tcx; replace: in the very place of ours.  It stays there, behind ours."""
    path = pinned(host, "ok")
    with our_hook_taken(host, f"a filter ({variant})", not host.tcx):
        tc(host, "qdisc", "add", "dev", "wan0", "clsact")
        if variant == "replace":
            tc(host, "filter", "replace", "dev", "wan0", "egress", "prio", "1", "handle", "1", "bpf", "da", "object-pinned", path)
        else:
            for direction in ("egress", "ingress"):
                tc(host, "filter", "add", "dev", "wan0", direction, "prio", "1", "handle", "77", "bpf", "da", "object-pinned", path)
        time.sleep(gap)


def foreign_tcx(host, variant, gap):
    """In front of ours: asked first until we are again; what says "next" lets ours speak."""
    for direction in ("egress", "ingress"):
        where = ["front"] if variant != "behind" else []
        with our_hook_taken(host, f"a tcx program in front ({direction})", variant == "pass"):
            host.lab.tcx("gwA", "attach", "wan0", direction, "stranger", 0 if variant != "next" else -1, *where)
    time.sleep(gap)
    for direction in ("egress", "ingress"):
        host.lab.tcx("gwA", "detach", "wan0", direction, "stranger", check=False)


def detach(host, variant, gap):
    with our_hook_taken(host, f"taking ours off ({variant})"):
        if variant == "xdp":
            host.run("ip", "link", "set", "wan0", "xdp", "off", check=False)
        elif host.tcx:
            for direction in ("egress", "ingress"):
                for name in host.lab.tcx("gwA", "list", "wan0", direction) or []:
                    host.lab.tcx("gwA", "detach", "wan0", direction, name, check=False)
        else:
            tc(host, "qdisc", "del", "dev", "wan0", "clsact")


def foreign_xdp(host, variant, gap):
    with our_hook_taken(host, "an XDP program of somebody else", ways=("in", "answered")):
        host.run("ip", "-force", "link", "set", "dev", "wan0", "xdp", "pinned", pinned(host, "xdp"), check=False)
        time.sleep(gap)
        host.run("ip", "link", "set", "dev", "wan0", "xdp", "off", check=False)


def netfilter(host, variant, gap):
    """flush: everybody's rules, ours with them (documented: not while nobody runs who writes them again); table: a
    stranger's rules, which also end the fast path for a time."""
    if variant == "flush":
        host.run("nft", "flush", "ruleset")
        time.sleep(RULES_BACK)
        return
    host.run("nft", "add table inet stranger; add chain inet stranger f { type filter hook forward priority 0; };"
             "add rule inet stranger f counter accept")
    time.sleep(gap)
    host.run("nft", "delete table inet stranger")


def pair(host, variant, gap):
    host.run("ip", "link", "del", f"{host.adit['A'].instance}0", check=False)


# ---- the daemon ---------------------------------------------------------------------------------

def kill(host, variant, gap):
    host.kill(variant)


def stop(host, variant, gap):
    host.stop()


def start(host, variant, gap):
    host.start()


def start_with_bad_file(host, variant, gap):
    """It may end or guard with what it has; either way it is stopped in the end."""
    with bad_file(host, variant):
        host.start()
        time.sleep(gap + 0.5)
        host.stop()


def restart(host, variant, gap):
    host.stop()
    time.sleep(gap)
    host.start()


def reload(host, variant, gap):
    if variant == "good":
        host.reload()
        return
    with bad_file(host, variant):
        host.reload()
        time.sleep(gap + 0.3)
    host.reload()


@contextlib.contextmanager
def bad_file(host, variant):
    a = host.adit["A"]
    good, key = a.conf.read_text(), a.dir / "gw.psk"
    octets = key.read_bytes()
    if variant == "conf":
        a.conf.write_text(good.replace("encryption", "encrytion"))
    elif variant == "empty":
        a.conf.write_text("")
    elif variant == "key-mode":
        key.chmod(0o644)
    else:
        key.write_bytes(b"hex:zz\n")
    try:
        yield
    finally:
        a.conf.write_text(good)
        key.write_bytes(octets)
        key.chmod(0o600)


def peer(host, variant, gap):
    if variant == "restart":
        host.stop("B")
    else:
        host.kill(variant, "B")
    if variant in ("restart", "parent"):
        time.sleep(gap)
        host.start("B")


def calm(host, variant, gap):
    """Everything as it should be; then the tunnel has to come back by itself."""
    if absent(host):
        host.make("veth")
    if not host.running:
        host.start()
    host.tunnel_returns()


# Only by name in a replay: what the hunter must find.
def unguard(host, variant, gap):
    """stop and aditd --unload: everything is open."""
    host.stop()
    host.run(BUILD / "aditd", "-i", host.adit["A"].instance, "--unload")


def block(host, variant, gap):
    """A guard that lets nothing pass at all."""
    host.run("nft", "add table netdev block; add chain netdev block e { type filter hook egress device wan0 priority 0; policy drop; }")


KINDS = ("veth", "renamed", "macvlan", "bridge")
ALL_KINDS = KINDS + tuple(f"{kind}+index" for kind in KINDS) + ("tun",)
AT_ONCE_KINDS = tuple(k for k in ALL_KINDS if k != "renamed+index")  # two devices with one index are one too many
STEPS = [
    #    name               weight variants                      possible  do
    Step("remove", 3, (), there, remove),
    Step("make", 30, ALL_KINDS, absent, make),  # so that it is not absent for long
    Step("remake", 6, ALL_KINDS, there, remake),
    Step("remake-at-once", 6, AT_ONCE_KINDS, there, remake_at_once),
    Step("swap", 4, (), there, swap),
    Step("rename", 3, ("down",), there, rename),
    Step("rename-live", 2, (), has_programs, rename),
    Step("namespace", 4, (), may_be_moved, namespace),
    Step("down-up", 4, ("at-once", "slow"), there, down_up),
    Step("carrier", 2, (), there, carrier),
    Step("address", 3, tuple(ADDRESS), there, there_and_back(ADDRESS, ADDRESS_BACK)),
    Step("route", 3, tuple(ROUTE), there, there_and_back(ROUTE, ROUTE_BACK)),
    Step("device", 3, tuple(DEVICE), lambda host: there(host) and host.kind != "tun", there_and_back(DEVICE, DEVICE_BACK)),
    Step("stacked", 3, tuple(STACKED), lambda host: has_programs(host) and host.kind in ("veth", "renamed"), stacked),
    Step("unseen", 6, AT_ONCE_KINDS + ("swap", "rename"), guarded, unseen),
    Step("inside", 2, ("down", "remake"), always, inside),
    Step("trunk", 1, (), always, trunk),
    Step("qdisc", 3, ("tbf", "pfifo", "clsact", "ingress"), guarded, qdisc),
    Step("foreign-filter", 3, ("add", "replace"), guarded, foreign_filter),
    Step("foreign-tcx", 3, ("pass", "next", "behind"), lambda host: guarded(host) and host.tcx, foreign_tcx),
    Step("foreign-xdp", 2, (), has_ethernet, foreign_xdp),
    Step("detach", 2, ("xdp", "tc"), has_ethernet, detach),
    Step("netfilter", 3, ("flush", "table"), running, netfilter),
    Step("pair", 2, (), running, pair),
    Step("kill", 8, ("parent", "ike", "worker", "all"), running, kill),
    Step("stop", 3, (), running, stop),
    Step("start", 25, (), stopped, start),
    Step("start-with-bad-file", 8, ("conf", "empty", "key-mode", "key"), stopped, start_with_bad_file),
    Step("restart", 3, (), running, restart),
    Step("reload", 5, ("good", "conf", "empty", "key-mode", "key"), running, reload),
    Step("peer", 3, ("parent", "ike", "worker", "restart"), always, peer),
    Step("calm", 3, (), always, calm),
    Step("unguard", 0, (), running, unguard),
    Step("block", 0, (), there, block),
]
BY_NAME = {step.name: step for step in STEPS}
