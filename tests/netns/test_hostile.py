# SPDX-License-Identifier: BSD-2-Clause
"""Strangers' bytes at the running daemon: it counts, it answers as the RFC says, it does not die or forget."""
import json
import random
import socket
import struct

import pytest

from confs import adit_conf, files
from netlab import HOST, WAN, ROOT

INIT = 34


def header(next_payload, exchange=INIT, flags=0x08, version=0x20, length=None, body=b"", spi_r=bytes(8), mid=0):
    return random.randbytes(8) + spi_r + struct.pack(">BBBBII", next_payload, version, exchange, flags, mid,
                                                     28 + len(body) if length is None else length) + body


def payload(next_payload, body, critical=0):
    return struct.pack(">BBH", next_payload, critical, 4 + len(body)) + body


def sa_init(group=31, ke=32):
    """A well-formed IKE_SA_INIT request: AES-GCM-16-256, PRF SHA2-256."""
    transforms = (struct.pack(">BBHBBHHH", 3, 0, 12, 1, 0, 20, 0x800E, 256) + struct.pack(">BBHBBH", 3, 0, 8, 2, 0, 5)
                  + struct.pack(">BBHBBH", 0, 0, 8, 4, 0, group))
    proposal = struct.pack(">BBHBBBB", 0, 0, 8 + len(transforms), 1, 1, 0, 3) + transforms
    body = (payload(34, proposal) + payload(40, struct.pack(">HH", group, 0) + random.randbytes(ke))
            + payload(0, random.randbytes(32)))
    return header(33, body=body)


def hostile():
    """Endless: whole messages of strangers, and well-formed ones with some octets changed, cut or doubled."""
    while True:
        yield sa_init()
        yield sa_init(group=14, ke=256)
        yield sa_init(group=19, ke=64)  # not a point of the curve
        yield sa_init(group=31, ke=0)
        yield header(33, exchange=random.randrange(256), flags=random.randrange(256), version=random.randrange(256),
                     spi_r=random.randbytes(8), mid=random.randrange(1 << 32))
        yield header(0, length=random.choice([0, 27, 29, 65535, 0xFFFFFFFF]))
        for _ in range(8):
            whole = bytearray(sa_init())
            for _ in range(random.randrange(1, 6)):
                whole[random.randrange(16, len(whole))] = random.randrange(256)
            yield bytes(whole[:random.randrange(1, len(whole) + 1)])
        yield random.randbytes(random.randrange(1, 1400))
        for seed in SEEDS:
            whole = bytearray(seed)
            whole[random.randrange(len(whole))] ^= 1 << random.randrange(8)
            yield bytes(whole)


SEEDS = [p.read_bytes() for p in sorted((ROOT / "tests" / "fuzz" / "seeds" / "fuzz_ike_message").glob("*")) if p.stat().st_size]


@pytest.mark.parametrize("port", [500, 4500])
def test_ike_survives_strangers_and_the_tunnel_does_not_notice(lab, aditd, adit, port):
    random.seed(port)
    b = aditd("gwB", adit_conf("B"), files())
    aditd("gwA", adit_conf("A"), files())
    assert lab.ping("hostA", HOST["B"], 3, 56, 5) == 3
    pid, spis = b.pid("ike"), {s["spi"] for s in adit("gwB", "show sa")["sas"]}
    script = lab.dir / "hostile.bin"
    with open(script, "wb") as out:
        source = hostile()
        for _ in range(6000):
            octets = (bytes(4) if port == 4500 else b"") + next(source)
            out.write(struct.pack(">H", len(octets)) + octets)
    sender = ("import socket,struct,sys,time\n"
              "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); d=open(sys.argv[1],'rb').read(); i=n=0\n"
              "while i<len(d):\n"
              "  l,=struct.unpack_from('>H',d,i); s.sendto(d[i+2:i+2+l],(sys.argv[2],int(sys.argv[3]))); i+=2+l; n+=1\n"
              "  if n%64==0: time.sleep(.01)\n")
    lab.run("inet", "/usr/bin/python3", "-c", sender, script, WAN["B"], port, timeout=60)
    assert b.pid("ike") == pid, "the ike process died"
    assert {s["spi"] for s in adit("gwB", "show sa")["sas"]} == spis
    assert lab.ping("hostA", HOST["B"], 3) == 3
    counted = {c["name"]: c["count"] for c in adit("gwB", "show statistics")["counters"] if c["room"] == "ike"}
    assert counted["malformed"] and counted["no-peer"]
    assert lab.ping("hostB", HOST["A"], 3) == 3


def test_forged_and_replayed_esp_is_counted_and_dropped(lab, aditd, adit, capture):
    b = aditd("gwB", adit_conf("B"), files())
    aditd("gwA", adit_conf("A"), files())
    wire = capture("inet", "b0", "esp and src host 192.0.2.1")
    assert lab.ping("hostA", HOST["B"], 5, 56, 5) == 5
    frames = [bytes(f.payload) for f in wire.frames()]
    pcap = lab.dir / "again.bin"
    forged = [f[:-1] + bytes([f[-1] ^ 1]) for f in frames]
    forged = [f[:24] + struct.pack(">I", 100000 + i) + f[28:] for i, f in enumerate(forged)]
    pcap.write_bytes(b"".join(struct.pack(">H", len(f)) + f for f in frames + forged))
    replay = ("import socket,struct,sys\n"
              "s=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_RAW); d=open(sys.argv[1],'rb').read(); i=0\n"
              "while i<len(d):\n"
              "  l,=struct.unpack_from('>H',d,i); s.sendto(d[i+2:i+2+l],(sys.argv[2],0)); i+=2+l\n")
    lab.run("inet", "/usr/bin/python3", "-c", replay, pcap, WAN["B"])
    inbound = next(s for s in adit("gwB", "show sa")["sas"] if s["direction"] == "in")
    assert inbound["replay_drops"] == len(frames) and inbound["integrity_drops"] == len(forged)
    assert lab.ping("hostA", HOST["B"], 5) == 5, "a forged far number did not move the window"
    assert b.pid("worker")


def test_unknown_spi_is_counted_and_told(lab, aditd, adit):
    b = aditd("gwB", adit_conf("B"), files())
    send = ("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_RAW,50)\n"
            f"s.sendto(bytes.fromhex('deadbeef00000001')+bytes(64),('{WAN['B']}',0))\n")
    lab.run("inet", "/usr/bin/python3", "-c", send)
    counted = {c["name"]: c["count"] for c in adit("gwB", "show statistics")["counters"]}
    assert counted["drop-unknown-spi"] == 1
    status = b.command("--json", "status", check=False)
    assert "0xdeadbeef" in b.text() and json.loads(status.stdout)["warnings"] and status.returncode == 1
