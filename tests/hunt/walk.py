# SPDX-License-Identifier: BSD-2-Clause
"""One walk: a fresh lab, traffic, steps one after the other, the judge's opinion after each; and the search for the
steps that matter."""
import collections
import contextlib
import random
import shutil
import time

from host import Host
from judge import Judge
from netlab import Lab
from steps import BY_NAME, STEPS
from traffic import Traffic

GAPS = (0.0, 0.02, 0.1, 0.3, 0.6, 1.5)
WARM_UP = 30
SHOWN = 8  # sorts of leaks that are described; a hole has many
NO_TCX_EVERY = 4  # one walk in so many is as on a kernel without tcx

# A step as it is taken.
Taken = collections.namedtuple("Taken", "name variant gap")


def clock(seconds):
    return time.strftime("%H:%M:%S", time.localtime(seconds)) + f"{seconds % 1:.3f}"[1:]


def written(taken):
    return f"{taken.name}{'/' + taken.variant if taken.variant else ''}@{taken.gap}"


def parsed(text):
    """The steps of "--steps", or ValueError."""
    steps = []
    for word in text.split():
        name, _, gap = word.partition("@")
        name, _, variant = name.partition("/")
        if name not in BY_NAME:
            raise ValueError(f"no step is called {name!r}; there are {', '.join(BY_NAME)}")
        if (variant or None) not in (BY_NAME[name].variants or (None,)):
            raise ValueError(f"{name} has the variants {', '.join(BY_NAME[name].variants) or 'none'}, not {variant!r}")
        steps.append(Taken(name, variant, float(gap or 0)))
    return steps


def drawn(seed, count, never=()):
    """The random walk: the next step is drawn from what is possible at the host; never: NAMEs and NAME/VARIANTs."""
    draw, left = random.Random(seed), iter(range(count))

    def next_step(host):
        if next(left, None) is None:
            return None
        while True:
            step = draw.choices(STEPS, [s.weight if s.possible(host) else 0 for s in STEPS])[0]
            taken = Taken(step.name, draw.choice(step.variants) if step.variants else "", draw.choice(GAPS))
            if not {taken.name, f"{taken.name}/{taken.variant}"} & set(never):
                return taken
    return next_step


def given(steps):
    left = list(steps)
    return lambda host: left.pop(0) if left else None


class Walk:
    """One lab from its beginning to its end; what it found is in .leaks and .failures."""

    def __init__(self, seed, log, tcx, without=()):
        self.seed, self.say, self.tcx, self.without = seed, log, tcx, without
        self.taken, self.leaks, self.failures, self.exempted = [], [], [], {}
        self.packets, self.rounds, self.kept = 0, 0, None

    def log(self, text):
        self.say(f"{clock(time.time())} {text}")

    @property
    def found(self):
        return bool(self.leaks or self.failures)

    def run(self, next_step, until=None):
        """until: monotonic time after which no other step is begun.  Ends with the first finding."""
        with contextlib.ExitStack() as stack:
            lab = Lab()
            stack.callback(self._leave, lab)
            lab.up()
            self.judge = Judge(lab.prefix)
            self.judge.start()
            stack.callback(self.judge.end)
            self.host = Host(lab, self.judge, self.log, self.tcx)
            stack.callback(self.host.close)
            self.host.prepare()
            self.host.start("B")
            self.host.start()
            for side in "AB":
                self.host.wait(f"gw{side} answers", self.host.adit[side].answers, WARM_UP)
            self.traffic = Traffic(lab.prefix, self.seed, self.without)
            self.traffic.start()
            stack.callback(self.traffic.end)
            self.host.tunnel_returns()
            self._judge("the start")
            while not self.found and (not until or time.monotonic() < until):
                step = next_step(self.host)
                if step is None:
                    break
                self._take(step)
            if not self.found:
                self._take(Taken("calm", "", 0.0))
        return self

    def _leave(self, lab):
        lab.down()
        if self.found:
            self.kept = lab.dir
        else:
            lab.forget()

    def _take(self, taken):
        step = BY_NAME[taken.name]
        if not step.possible(self.host):
            self.log(f"--- {written(taken)} is not possible now")
            return
        self.rounds += 1
        self.taken.append(taken)
        self.log(f"{self.rounds:4} {written(taken)}")
        self.traffic.hurried = True
        step.do(self.host, taken.variant, taken.gap)
        self.traffic.hurried = False
        time.sleep(taken.gap)
        self.host.lives()
        self.host.flows()
        self._judge(written(taken))

    def _judge(self, after):
        self.judge.settled()
        if lost := self.judge.lost():
            raise RuntimeError(f"{lost} packets went by unseen: this machine is too slow for a judgement")
        self.packets, self.exempted = self.judge.looked_at, dict(self.judge.exempted)
        self.leaks, self.failures = self.judge.findings, self.host.failures
        for leak in self.leaks[:SHOWN]:
            count = self.judge.counts[leak.way, leak.where, leak.kind]
            self.log(f"  LEAK {leak.way} at {leak.where}: {leak.kind}, first at {clock(leak.time)}, {count} in all: {leak.packet}")
        if more := self.leaks[SHOWN:]:
            self.log(f"  LEAK of {len(more)} more sorts: {', '.join(sorted({leak.kind for leak in more}))}")
        if self.leaks:
            first = min(leak.time for leak in self.leaks)
            self.log(f"  {sum(self.judge.counts.values())} clear packets from {clock(first)} to {clock(self.judge.latest)}")
        for what, why in self.failures:
            self.log(f"  WRONG after {after}: {what}: {why}")


class Shrink:
    """Delta debugging over the steps of a walk that found something.  A race does not come every time, so a list of
    steps is innocent only after it was tried some times."""

    def __init__(self, walk, log, tries=3, seconds=600):
        self.again = lambda: Walk(walk.seed, lambda text: None, walk.tcx, walk.without)
        self.log, self.tries = log, tries
        self.until = time.monotonic() + seconds
        self._tried = {}

    def guilty(self, steps):
        key = tuple(steps)
        if key not in self._tried:
            self._tried[key] = any(self._once(steps) for _ in range(self.tries))
            self.log(f"  {'found' if self._tried[key] else 'clean'}: {' '.join(map(written, steps))}")
        return self._tried[key]

    def _once(self, steps):
        if time.monotonic() > self.until:
            return False
        walk = self.again().run(given(steps))
        if walk.kept:
            shutil.rmtree(walk.kept, ignore_errors=True)
        return walk.found

    def __call__(self, steps):
        """The shortest list that still does it; the same list if it never did again."""
        return self._fewer(self._tail(steps))

    def _tail(self, steps):
        """Mostly it is the last ones."""
        n = 1
        while n < len(steps):
            if self.guilty(steps[-n:]):
                return steps[-n:]
            n *= 3
        return steps

    def _fewer(self, steps):
        parts = 2
        while len(steps) > 1 and time.monotonic() < self.until:
            size = -(-len(steps) // parts)
            for at in range(0, len(steps), size):
                rest = steps[:at] + steps[at + size:]
                if rest and self.guilty(rest):
                    steps, parts = rest, max(parts - 1, 2)
                    break
            else:
                if size == 1:
                    break
                parts = min(parts * 2, len(steps))
        return steps
