#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Somebody else's tcx programs; to be run in the namespace of the device.

    tcx.py list   IFNAME egress|ingress                        names in the order in which they are asked
    tcx.py attach IFNAME egress|ingress NAME VERDICT [front]   a program that always says VERDICT; else last
    tcx.py detach IFNAME egress|ingress NAME                   all of that name
    tcx.py pin    PATH tc|xdp                                  a program that lets everything pass, for tc and ip
    tcx.py link   IFNAME egress|ingress|xdp NAME VERDICT [front]   by a BPF link, held until this process ends

Exit 3: this kernel has no tcx.  Raw system calls, because libbpf of Debian 12 has no words for it.
"""
import ctypes
import errno
import os
import platform
import signal
import socket
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
LOAD, PIN, ATTACH, DETACH, BY_ID, INFO, QUERY, LINK = 5, 6, 8, 9, 13, 15, 16, 28
SCHED_CLS, XDP, BEFORE = 3, 6, 1 << 3
TC_OK, XDP_PASS = 0, 2
HOOK = {"ingress": 46, "egress": 47, "xdp": 37}
NO_TCX = 3

_libc = ctypes.CDLL(None, use_errno=True)


def bpf(cmd, attr):
    fd = _libc.syscall(SYS_BPF, cmd, attr, len(attr))
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


def address(buf):
    return ctypes.addressof(buf)


def load(name, verdict, sort=SCHED_CLS):
    insns = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xb7, 0, 0, verdict, 0x95, 0, 0, 0))
    gpl = ctypes.create_string_buffer(b"GPL")
    attr = struct.pack("=IIQQIIQII16s", sort, 2, address(insns), address(gpl), 0, 0, 0, 0, 0, name.encode())
    return bpf(LOAD, ctypes.create_string_buffer(attr, len(attr)))


def ids(ifindex, hook):
    found = (ctypes.c_uint32 * 64)()
    attr = struct.pack("=IIIIQIIQQQQ", ifindex, hook, 0, 0, address(found), 64, 0, 0, 0, 0, 0)
    buf = ctypes.create_string_buffer(attr, len(attr))
    try:
        bpf(QUERY, buf)
    except OSError as e:
        if e.errno == errno.EINVAL:
            sys.exit(NO_TCX)
        if e.errno != errno.ENOENT:
            raise
        return []
    return found[:struct.unpack_from("=I", buf, 24)[0]]


def by_id(prog_id):
    return bpf(BY_ID, ctypes.create_string_buffer(struct.pack("=III", prog_id, 0, 0), 12))


def name_of(fd):
    info = ctypes.create_string_buffer(80)
    bpf(INFO, ctypes.create_string_buffer(struct.pack("=IIQ", fd, len(info), address(info)), 16))
    return info.raw[64:80].rstrip(b"\0").decode()


def change(cmd, ifindex, hook, fd, flags=0):
    attr = struct.pack("=IIIIIIQ", ifindex, fd, hook, flags, 0, 0, 0)
    bpf(cmd, ctypes.create_string_buffer(attr, len(attr)))


def pin(path, sort):
    fd = load("stranger", *{"tc": (TC_OK, SCHED_CLS), "xdp": (XDP_PASS, XDP)}[sort])
    name = ctypes.create_string_buffer(path.encode())
    bpf(PIN, ctypes.create_string_buffer(struct.pack("=QII", address(name), fd, 0), 16))


def hold(ifindex, hook, fd, flags):
    attr = struct.pack("=IIIIIIQ", fd, ifindex, hook, flags, 0, 0, 0)
    link = bpf(LINK, ctypes.create_string_buffer(attr, len(attr)))
    print("held", flush=True)
    signal.pause()
    os.close(link)


def main(verb, ifname, direction, *more):
    if verb == "pin":
        pin(ifname, direction)
        return
    ifindex, hook = socket.if_nametoindex(ifname), HOOK[direction]
    if verb == "list":
        print(" ".join(name_of(by_id(i)) for i in ids(ifindex, hook)))
    elif verb == "attach":
        change(ATTACH, ifindex, hook, load(more[0], int(more[1])), BEFORE if "front" in more[2:] else 0)
    elif verb == "link":
        kind, before = (XDP, 0) if direction == "xdp" else (SCHED_CLS, BEFORE)
        hold(ifindex, hook, load(more[0], int(more[1]), kind), before if "front" in more[2:] else 0)
    elif verb == "detach":
        for fd in map(by_id, ids(ifindex, hook)):
            if name_of(fd) == more[0]:
                change(DETACH, ifindex, hook, fd)


if __name__ == "__main__":
    main(*sys.argv[1:])
