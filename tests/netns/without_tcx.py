#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""without_tcx.py PROGRAM ARGUMENTS: runs it as on a kernel before 6.6, where asking for tcx is an invalid argument."""
import ctypes
import errno
import os
import struct
import sys

from tcx import QUERY, SYS_BPF

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
NR, FIRST_ARGUMENT = 0, 16  # in struct seccomp_data
ALLOW, FAIL = 0x7fff0000, 0x00050000

steps = [
    (LOAD, 0, 0, NR), (JUMP_EQUAL, 0, 3, SYS_BPF),
    (LOAD, 0, 0, FIRST_ARGUMENT), (JUMP_EQUAL, 0, 1, QUERY),
    (RETURN, 0, 0, FAIL | errno.EINVAL),
    (RETURN, 0, 0, ALLOW),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *s) for s in steps))
prog = ctypes.create_string_buffer(struct.pack("@HxxxxxxQ", len(steps), ctypes.addressof(code)), 16)
if ctypes.CDLL(None).prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, prog):
    sys.exit("seccomp filter refused")
os.execv(sys.argv[1], sys.argv[1:])
