# SPDX-License-Identifier: BSD-2-Clause
"""One measurement: how much a box under test lets through.

Two figures.  `ndr` is the highest offered rate of which at least 99 % arrive, found by bisection; `most` is
the highest rate that arrived at all, also under overload.
"""
import json
import math
import time
from dataclasses import dataclass, field

from boxes import Process

LOWEST, HIGHEST = 50e3, 3.2e6
LOSS = 0.01
SETTLE_S = 3.0
SPARE_S = 40.0  # for second searches, in the whole run


@dataclass
class Path:
    """Where frames go in, where they are counted, and how the generator is told."""
    source: tuple  # (box, interface)
    entry: tuple   # the interface they arrive at
    sink: tuple
    addresses: tuple = ("10.1.1.2", "10.1.2.2")
    count_all: bool = False
    pool: str = ""


@dataclass
class Trial:
    offered: float
    sent: int
    arrived: int
    rate: float

    @property
    def loss(self):
        return 1 - self.arrived / self.sent if self.sent else 1.0


@dataclass
class Result:
    ndr: float = 0.0
    most: float = 0.0
    trials: list = field(default_factory=list)


class Meter:
    def __init__(self, boxes, tool, log, seconds, steps, say):
        self.boxes, self.tool, self.log = boxes, tool, log
        self.seconds, self.steps, self.say = seconds, steps, say
        self.spare_s = SPARE_S

    def generate(self, path, size, rate, seconds, frames=0):
        """Runs the generator to its end and returns what it says."""
        box, ifname = path.source
        argv = [self.tool, "gen", ifname, "--cpu", 0, "--anchor", "anchor", "--size", size,
                "--rate", int(rate), "--seconds", seconds,
                "--to-mac", self.boxes.macs[path.entry], "--from-mac", self.boxes.macs[path.source],
                "--from", path.addresses[0], "--to", path.addresses[1]]
        if frames:
            argv += ["--pool", path.pool, "--frames", frames]
        with Process(self.boxes, box, argv, self.log) as gen:
            return json.loads(gen.line(timeout=seconds + 20))

    def sink(self, path):
        argv = [self.tool, "sink", path.sink[1], "--cpu", 0] + (["--all"] if path.count_all else [])
        return Process(self.boxes, path.sink[0], argv, self.log)

    def trial(self, path, sink, size, rate, frames=0):
        sink.ask("clear")
        told = self.generate(path, size, rate, self.seconds, frames)
        before, deadline = -1, time.monotonic() + SETTLE_S
        while True:
            seen = sink.ask("count")
            if seen["frames"] == before or time.monotonic() > deadline:
                break
            before = seen["frames"]
            time.sleep(0.04)
        t = Trial(told["mpps"] * 1e6, told["sent"], seen["frames"], seen["mpps"] * 1e6)
        self.say(f"    {size} octets: offered {t.offered / 1e6:.3f} Mpps, arrived {t.rate / 1e6:.3f}, "
                 f"lost {t.loss:.2%}")
        return t

    def measure(self, attempt):
        """Bisects with attempt(rate) -> Trial, around what comes through under overload.

        A failing rate gets a second chance, and a result far below what was seen to arrive a second search:
        on a shared machine a lost time slice costs frames that the box under test would have carried.
        """
        result = Result()
        overload = attempt(HIGHEST)
        result.most = max(overload.rate, LOWEST)
        self._bisect(attempt, result, result.most / 2, min(result.most * 2, HIGHEST))
        if result.ndr < 0.75 * result.most and self.spare_s > 0:
            start = time.monotonic()
            self._bisect(attempt, result, max(result.ndr, result.most / 4), min(result.most * 2, HIGHEST))
            self.spare_s -= time.monotonic() - start
        return result

    def _bisect(self, attempt, result, low, high):
        for _ in range(self.steps):
            middle = math.sqrt(low * high)
            if self._carries(attempt, result, middle) or self._carries(attempt, result, middle):
                low = middle
            else:
                high = middle

    @staticmethod
    def _carries(attempt, result, rate):
        t = attempt(rate)
        result.trials.append(t)
        result.most = max(result.most, t.rate)
        if t.loss <= LOSS:
            result.ndr = max(result.ndr, t.offered)
        # Where the generator shares its core with the box, it cannot offer more than passes.
        return t.loss <= LOSS and t.offered >= 0.97 * rate
