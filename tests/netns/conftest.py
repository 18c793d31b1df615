# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures for scenarios in the lab of tests/lab.sh.  All of them need root.

    lab                      up before, down after; @pytest.mark.nat puts a NAT box in front of gwA
    aditd("gwA", conf)       aditd there, started; its .stop(), .kill("ike"), .pid("worker"), .text()
    adit("gwA", "show sa")   the command line tool for that aditd: its --json output, parsed
    charon("gwB", swanctl)   strongSwan there, started and loaded
    capture("inet", "a0")    tcpdump, running
"""
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.dont_write_bytecode = True

from gateways import Aditd, Charon  # noqa: E402
from netlab import Lab  # noqa: E402
from wire import Capture  # noqa: E402

MUST_HAVE = ("ip", "nsenter", "unshare", "nft", "iptables-nft", "iptables-legacy", "tcpdump", "iperf3", "ping", "ss")


def pytest_configure(config):
    config.addinivalue_line("markers", "nat: a NAT box stands in front of gwA")


def pytest_sessionstart(session):
    if os.geteuid():
        pytest.exit("needs root: namespaces, BPF programs", returncode=2)
    for program in MUST_HAVE:
        if subprocess.run(["which", program], capture_output=True, check=False).returncode:
            pytest.exit(f"needs {program}: make deps", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, f"report_{report.when}", report)
    # While the lab still stands: afterwards there is nothing to look at.
    the_lab = item.funcargs.get("lab") if hasattr(item, "funcargs") else None
    if report.failed and the_lab:
        report.sections.append(("lab", the_lab.story()))


@pytest.fixture
def lab(request):
    the_lab = Lab(nat=request.node.get_closest_marker("nat") is not None)
    try:
        the_lab.up()
        yield the_lab
    finally:
        the_lab.down()
        report = getattr(request.node, "report_call", None)
        if report and not report.failed and not os.environ.get("ADIT_KEEP"):
            the_lab.forget()


@pytest.fixture
def aditd(lab):
    """aditd(box, conf_text, files={"hq.psk": "..."}); the lab stops it with everything else."""
    def make(box, conf_text, files=None, start=True):
        lab.gateways[box] = Aditd(lab, box, conf_text, files)
        return lab.gateways[box].start() if start else lab.gateways[box]
    return make


@pytest.fixture
def adit(lab):
    """adit(box, "show", "sa") or adit(box, "show sa"); gateways.Aditd.command for plain text."""
    return lambda box, *argv, **more: lab.gateways[box].json(*" ".join(map(str, argv)).split(), **more)


@pytest.fixture
def charon(lab):
    """charon(box, swanctl_text, files={"x509/gw.pem": ...})"""
    def make(box, swanctl_text, files=None, start=True):
        gateway = Charon(lab, box, swanctl_text, files)
        return gateway.start() if start else gateway
    return make


@pytest.fixture
def capture(lab):
    return lambda box, ifname, filter_text="": Capture(lab, box, ifname, filter_text)
