# SPDX-License-Identifier: BSD-2-Clause
"""One guest: a qemu process, its console, its report port, and the capture of its wire."""
import ctypes
import io
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tarfile
import time

import image

BOOT_LIMIT_S = 120
MEMORY_MIB = 1536
# AES-NI, and little else that would have to be emulated.  Without cmpxchg16b, which qemu 7.2 emulates with leftovers
# in EFLAGS: an interrupt right behind it then brings back a set DF or VM, and the kernel fails somewhere at random.
CPU = "Westmere,+rdrand,-cx16"
ALIVE_AFTER_LIMIT_S = 30  # a case is ended by the guest at its limit; after this the guest itself hangs

# One thread for both CPUs: with one each, a CPU may still run into a breakpoint of kernel code that the other has
# finished patching, and dies of it.  Two guests at a time use two cores all the same.
ACCELS = {"kvm": "kvm", "tcg": "tcg,thread=single"}

# A wire is two NICs that see each other and nobody else.
#   hub      inside qemu: one queue, needs no rights; frames of 1514 octets at most, like a cable
#   queues   two multi-queue tap devices on a bridge, in a network namespace that ends with qemu; needs root
#   systemd  a hub; and PID 1 can become Debian's systemd, once
BOOTS = ("hub", "queues", "systemd")
QUEUES = 2
BRIDGE = "wirebr"


class GuestLost(Exception):
    """The guest did not answer in time, or qemu ended."""


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    os.setpgid(0, 0)


def _nics(wire):
    ret = []
    for n in range(2):
        if wire != "queues":
            backend, more = f"hubport,id=n{n},hubid=0", ""
        else:
            backend = f"tap,id=n{n},ifname=tap{n},script=no,downscript=no,queues={QUEUES}"
            # XDP wants a transmit queue for each CPU besides the ordinary ones.
            more = f",mq=on,vectors={2 * QUEUES + 2},iommu_platform=on,disable-legacy=on"
        ret += ["-netdev", backend, "-device", f"virtio-net-pci,netdev=n{n},romfile=,mac=52:54:00:ad:17:0{n}{more}"]
    return ret


def _wrapped(wire, argv):
    if wire != "queues":
        return argv
    taps = " && ".join(f"ip tuntap add tap{n} mode tap multi_queue && ip link set tap{n} master {BRIDGE} up" for n in range(2))
    setup = (f"ip link set lo up && ip link add {BRIDGE} type bridge mcast_snooping 0 && "
             f"sysctl -qw net.ipv6.conf.{BRIDGE}.disable_ipv6=1 && ip link set {BRIDGE} up && {taps} && "
             "sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1 net.ipv6.conf.tap1.disable_ipv6=1 && exec \"$@\"")
    return ["unshare", "--net", "sh", "-c", setup, "sh", *argv]


class Guest:
    """Made: the process runs.  Use as a context manager; leaving it ends the process whatever it does."""

    def __init__(self, kernel, archives, boot, folder, accel):
        """archives: the parts of the initramfs besides the kernel's modules, in their order."""
        self.wire, self.folder = "queues" if boot == "queues" else "hub", folder
        folder.mkdir(parents=True, exist_ok=True)
        self.console = folder / "serial.log"
        self.said = folder / "qemu.log"
        self.initrd = folder / "initrd"
        with open(self.initrd, "wb") as out:
            for part in (kernel.modules, *archives):
                with open(part, "rb") as f:
                    shutil.copyfileobj(f, out, 1 << 20)
        mine, theirs = socket.socketpair()
        qmp, their_qmp = socket.socketpair()
        self.report, self.qmp = mine, qmp
        self.buffer = b""
        argv = ["qemu-system-x86_64", "-accel", ACCELS[accel], "-cpu", "host" if accel == "kvm" else CPU,
                "-M", "pc,usb=off,vmport=off", "-smp", "2", "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config",
                "-display", "none", "-no-reboot", "-kernel", str(kernel.vmlinuz), "-initrd", str(self.initrd),
                "-append", "console=ttyS0 loglevel=5 panic=-1 mitigations=off tsc=unstable nowatchdog "
                           "unknown_nmi_panic rcupdate.rcu_cpu_stall_suppress=1 log_buf_len=4M random.trust_cpu=on cryptomgr.notests",
                "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
                "-device", "virtio-serial-pci",
                "-chardev", f"socket,id=report,fd={theirs.fileno()}", "-device", "virtserialport,chardev=report,name=adit.report",
                "-chardev", f"socket,id=qmp,fd={their_qmp.fileno()}", "-mon", "chardev=qmp,mode=control",
                "-device", "virtio-rng-pci", *_nics(self.wire)]
        with open(self.said, "wb") as out:
            self.process = subprocess.Popen(_wrapped(self.wire, argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            pass_fds=(theirs.fileno(), their_qmp.fileno()), preexec_fn=_die_with_parent)
        theirs.close()
        their_qmp.close()
        self.capture = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.capture and self.capture != "wire":
            self.capture.kill()
            self.capture.wait()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.report.close()
        self.qmp.close()
        self.initrd.unlink(missing_ok=True)

    def _last_words(self):
        """Makes a kernel that hangs say where: it panics at this interrupt, with a call trace on the console."""
        try:
            self._command("inject-nmi")
            self.process.wait(3)
        except (GuestLost, OSError, subprocess.TimeoutExpired):
            pass

    # ---- the report port

    def _receive(self, until, what):
        left = until - time.monotonic()
        if left <= 0 or not select.select([self.report], [], [], left)[0]:
            self._last_words()
            raise GuestLost(f"the guest hangs: {what}")
        octets = self.report.recv(1 << 16)
        if not octets:
            raise GuestLost(f"the guest died: {what}")
        self.buffer += octets

    def _line(self, seconds, what):
        until = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            self._receive(until, what)
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode(errors="replace")

    def _octets(self, number, seconds, what):
        until = time.monotonic() + seconds
        while len(self.buffer) < number:
            self._receive(until, what)
        ret, self.buffer = self.buffer[:number], self.buffer[number:]
        return ret

    def wait_ready(self, seconds=BOOT_LIMIT_S):
        line = self._line(seconds, f"no user space after {seconds} s")
        if line != "ready":
            raise GuestLost(f"the guest said {line!r} instead of ready")

    def run(self, case, folder):
        """Runs a case; what it leaves is in folder.  Its exit status."""
        folder.mkdir(parents=True, exist_ok=True)
        began = self.console.stat().st_size
        self._start_capture(folder / "wire.pcap")
        try:
            variables = "".join(f" {k}={v}" for k, v in case.variables.items())
            self.report.sendall(f"case {case.script} {case.limit}{variables}\n".encode())
            what = f"case {case.name}"
            line = self._line(case.limit + ALIVE_AFTER_LIMIT_S, what).split()
            if len(line) != 3 or line[0] != "end":
                raise GuestLost(f"the guest said {' '.join(line)!r} after {what}")
            artefacts = self._octets(int(line[2]), ALIVE_AFTER_LIMIT_S, what)
            with tarfile.open(fileobj=io.BytesIO(artefacts), mode="r:") as tar:
                for member in tar:
                    # Plain files with a new name and nothing else: it is our own guest, but it runs what is tested,
                    # and must not replace the capture that it is judged by.
                    to = folder / pathlib.PurePath(member.name).name
                    if member.isfile() and not to.exists():
                        to.write_bytes(tar.extractfile(member).read())
            return int(line[1])
        finally:
            self._stop_capture()
            with open(self.console, "rb") as f:
                f.seek(began)
                (folder / "serial.txt").write_bytes(f.read())

    def power_off(self):
        try:
            self.report.sendall(b"off\n")
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            pass

    # ---- the wire

    def _command(self, name, **arguments):
        """One QMP command; its answer."""
        if not hasattr(self, "qmp_file"):
            self.qmp.settimeout(20)
            self.qmp_file = self.qmp.makefile("r")
            self.qmp_file.readline()  # the greeting
            self._command("qmp_capabilities")
        self.qmp.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while True:
            line = self.qmp_file.readline()
            if not line:
                raise GuestLost("qemu died")
            answer = json.loads(line)
            if "error" in answer:
                raise GuestLost(f"qemu: {name}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]

    def _start_capture(self, path):
        if self.wire == "hub":
            self._command("object-add", **{"qom-type": "filter-dump", "id": "wire", "netdev": "n0", "file": str(path),
                                           "maxlen": 65536})
            self.capture = "wire"
            return
        self.capture = subprocess.Popen(["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "tcpdump", "-Z", "root", "-i", "tap0", "-U",
                                         "-B", "32768", "-s0", "-w", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        preexec_fn=_die_with_parent)
        if b"listening" not in self.capture.stderr.readline():
            raise GuestLost("tcpdump does not start")

    def _stop_capture(self):
        if self.capture == "wire":
            try:
                self._command("object-del", id="wire")
            except (GuestLost, OSError):
                pass  # qemu is gone, and closed the file
        elif self.capture:
            self.capture.send_signal(signal.SIGINT)
            said = self.capture.stderr.read().decode(errors="replace")
            self.capture.wait()
            self.capture.stderr.close()
            if "\n0 packets dropped by kernel" not in said:
                self.capture = None
                raise GuestLost(f"the capture is not whole: {said}")
        self.capture = None


def choose_accel(kernel, archives, folder):
    """A key of ACCELS: kvm if a guest reaches user space with it, and about as soon as without; remembered until the
    next boot of this machine.  A device file and even a BIOS that runs prove nothing where virtualization is itself
    emulated."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = image.CACHE / "accel"
    words = known.read_text().split() if known.exists() else []
    if words[:1] == [boot] and words[1:] in (["kvm"], ["tcg"]):
        return words[1]
    accel = "kvm"
    try:
        with Guest(kernel, archives, "hub", folder, accel) as guest:
            guest.wait_ready(10)
    except GuestLost:
        accel = "tcg"
    known.write_text(f"{boot} {accel}\n")
    return accel
