# SPDX-License-Identifier: BSD-2-Clause
"""Who is measured, each with how it is started and which way its frames go."""
import contextlib
import os
import secrets
import subprocess
import time

from boxes import Process, pin, run
from measure import Path

CONF = """
interface wan0 {{ role outside; policy map1 }}
interface lan0 {{ role inside; fast-path on }}
ike-proposal strong {{ encryption aes256gcm16; prf sha256; dh x25519 }}
esp-proposal fast {{ encryption aes256gcm16; esn yes; lifetime 8h }}
peer far {{
    remote {remote}
    local-id fqdn:{me}
    remote-id fqdn:{other}
    psk file:bench.psk
    ike strong
    dpd {{ idle off }}
}}
acl lans {{ 5 permit ip {local_lan} -> {remote_lan} }}
policy map1 {{ 10 isakmp {{ peer far; acl lans; esp fast; trigger traffic }} }}
"""
SIDES = {"A": dict(me="a.bench", other="b.bench", remote="198.51.100.1",
                   local_lan="10.1.1.0/24", remote_lan="10.1.2.0/24"),
         "B": dict(me="b.bench", other="a.bench", remote="192.0.2.1",
                   local_lan="10.1.2.0/24", remote_lan="10.1.1.0/24")}
UP_S = 20
SLOT = {64: 192}  # room for a sealed frame; 1536 for the rest
POOL_MOST = 600_000

THROUGH_A = dict(source=("S", "eth0"), entry=("A", "lan0"), sink=("M", "a0"))


def forwarder(meter, octets, adit, *options):
    adit.down()
    path = Path(**THROUGH_A, count_all=bool(options))
    argv = [meter.tool, "fwd", "lan0", "wan0", "--cpu", 1, *options]
    with Process(meter.boxes, "A", argv, meter.log).ready(), meter.sink(path).ready() as sink:
        return meter.measure(lambda rate: meter.trial(path, sink, octets, rate))


def kernel(meter, octets, adit):
    """All of it runs in the softirq on CPU0: there is no second core to give it."""
    adit.down()
    path = Path(**THROUGH_A)
    # Live frames enter a veth only where its far end polls, which without XDP is what GRO is for.
    meter.boxes.run("A", "ethtool", "-K", "lan0", "gro", "on")
    try:
        with meter.sink(path).ready() as sink:
            return meter.measure(lambda rate: meter.trial(path, sink, octets, rate))
    finally:
        meter.boxes.run("A", "ethtool", "-K", "lan0", "gro", "off")


class AditPair:
    """Two gateways that negotiate for real.  Started when first needed and stopped when somebody else is
    measured: their programs sit on the interfaces that the others need."""

    def __init__(self, boxes, build, log_dir):
        self.boxes, self.build, self.log_dir = boxes, build, log_dir
        self.daemons, self.workers = {}, {}
        self.ndr = None
        self.pool = f"/sys/fs/bpf/{boxes.prefix}-pool"

    def instance(self, side):
        return f"{self.boxes.prefix}{side.lower()}"

    def up(self):
        if self.daemons:
            return
        psk = os.path.join(self.log_dir, "bench.psk")
        with open(psk, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            out.write(secrets.token_hex(24))
        for side, words in SIDES.items():
            conf = os.path.join(self.log_dir, f"{side}.conf")
            with open(conf, "w") as out:
                out.write(CONF.format(**words))
            log = open(os.path.join(self.log_dir, f"aditd-{side}.log"), "a")
            argv = [os.path.join(self.build, "aditd"), "-f", conf, "-i", self.instance(side)]
            self.daemons[side] = subprocess.Popen(self.boxes.inside(side) + argv, stdout=log, stderr=log)
        deadline = time.monotonic() + UP_S
        while self.boxes.run("S", "ping", "-c1", "-W1", "10.1.2.2", check=False).returncode:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no tunnel within {UP_S} s:\n{self.last_words()}")
        for side in SIDES:
            self.workers[side] = self._worker(side)
            pin(self.workers[side], 1)

    def _worker(self, side):
        for pid in self.boxes.run(side, "ip", "netns", "pids", self.boxes.ns(side)).stdout.split():
            with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/comm") as comm:
                if comm.read().strip() == "adit-worker":
                    return int(pid)
        raise RuntimeError(f"aditd {side} has no process called adit-worker")

    def last_words(self):
        text = ""
        for side in SIDES:
            with open(os.path.join(self.log_dir, f"aditd-{side}.log")) as log:
                text += f"aditd {side}:\n" + "".join(log.readlines()[-15:])
        return text

    def down(self):
        for daemon in self.daemons.values():
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait(5)
        for side in self.daemons:  # what stays on purpose would be in the next competitor's way
            self.boxes.run(side, os.path.join(self.build, "aditd"), "-i", self.instance(side), "--unload",
                           check=False)
        self.daemons.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.pool)


def seal(meter, octets, adit):
    adit.up()
    path = Path(**THROUGH_A, addresses=("10.1.1.2", "10.1.2.2"))
    with meter.sink(path).ready() as sink:
        result = meter.measure(lambda rate: meter.trial(path, sink, octets, rate))
    adit.ndr = result.ndr
    return result


def fill_pool(meter, octets, adit, frames):
    """A seals, M keeps.  Every frame is used once, so B's replay window takes them all."""
    path = Path(**THROUGH_A)
    argv = [meter.tool, "capture", "a0", "--pool", adit.pool, "--frames", POOL_MOST, "--slot", SLOT.get(octets, 1536)]
    with Process(meter.boxes, "M", argv, meter.log).ready() as capture:
        rate = 0.8 * (adit.ndr or 5e5)
        meter.generate(path, octets, rate, 1.02 * frames / rate)
        time.sleep(0.05)
        return capture.ask("enough")["frames"]


def open_(meter, octets, adit):
    adit.up()
    path = Path(source=("M", "b0"), entry=("B", "wan0"), sink=("T", "eth0"), pool=adit.pool)

    def attempt(rate):
        wanted = min(int(rate * meter.seconds), POOL_MOST)
        frames = fill_pool(meter, octets, adit, wanted)
        return meter.trial(path, sink, octets, rate, frames)

    with meter.sink(path).ready() as sink:
        return meter.measure(attempt)


# In this order: those that need Adit stand together, so it starts once for both.
COMPETITORS = {
    "xsk": forwarder,
    "xskgcm": lambda meter, octets, adit: forwarder(meter, octets, adit, "--gcm", "seal"),
    "seal": seal,
    "open": open_,
    "xskgcm-open": lambda meter, octets, adit: forwarder(meter, octets, adit, "--gcm", "open"),
    "kernel": kernel,
}
