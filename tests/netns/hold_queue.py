#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""hold_queue.py IFNAME: an AF_XDP socket of somebody else on queue 0, held until this process ends."""
import ctypes
import mmap
import os
import signal
import socket
import struct
import sys

AF_XDP, SOL_XDP = 44, 283
RX_RING, UMEM_REG, FILL_RING, COMPLETION_RING = 2, 4, 5, 6
COPY = 1 << 1
FRAMES, FRAME, RING = 16, 4096, 16

_libc = ctypes.CDLL(None, use_errno=True)


def main(ifname):
    fd = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
    memory = mmap.mmap(-1, FRAMES * FRAME)
    at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    fd.setsockopt(SOL_XDP, UMEM_REG, struct.pack("=QQIIII", at, FRAMES * FRAME, FRAME, 0, 0, 0))
    for ring in (FILL_RING, COMPLETION_RING, RX_RING):
        fd.setsockopt(SOL_XDP, ring, struct.pack("=I", RING))
    name = struct.pack("=HHIII", AF_XDP, COPY, socket.if_nametoindex(ifname), 0, 0)
    if _libc.bind(fd.fileno(), name, len(name)):
        sys.exit(os.strerror(ctypes.get_errno()))
    print("held", flush=True)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
