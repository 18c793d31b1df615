# SPDX-License-Identifier: BSD-2-Clause
"""tunwire.py NAME NETNS1 NETNS2: a device NAME without Ethernet in each, and a wire between them, until it is killed."""
import ctypes
import fcntl
import os
import select
import struct
import sys

CLONE_NEWNET, TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x40000000, 0x400454CA, 1, 0x1000
libc = ctypes.CDLL(None, use_errno=True)


def tun(name, netns):
    with open(f"/run/netns/{netns}", "rb") as ns:
        if libc.setns(ns.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


ends = [tun(sys.argv[1], netns) for netns in sys.argv[2:4]]
print("ready", flush=True)
while True:
    for end in select.select(ends, [], [])[0]:
        packet = os.read(end, 65536)
        try:
            os.write(ends[1 - ends.index(end)], packet)
        except OSError:
            pass  # that end is not up
