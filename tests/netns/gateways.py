# SPDX-License-Identifier: BSD-2-Clause
"""The two kinds of gateway: aditd with its command line tool, and strongSwan's charon."""
import json
import os
import pathlib
import signal
import subprocess

from netlab import HERE, PYTHON, ROOT, stop, wait_for

BUILD = pathlib.Path(os.environ.get("ADIT_BUILD", ROOT / "build"))
UNREACHABLE = 69  # exit code of adit: the daemon does not answer
ROLES = ("parent", "ike", "worker")


class Aditd:
    """aditd on one gateway; files (name: contents, keys above all) stand next to its configuration."""

    def __init__(self, lab, box, conf_text, files=None):
        self.lab, self.box = lab, box
        self.instance = f"{lab.prefix}{box[-1].lower()}"
        self.dir = lab.dir / f"{box}-adit"
        self.dir.mkdir(exist_ok=True)
        self.conf = self.dir / "adit.conf"
        self.log = lab.dir / f"{box}-aditd.log"
        self.write(conf_text, files)
        self.child = None

    def write(self, conf_text, files=None):
        for name, octets in (files or {}).items():
            path = self.dir / name
            path.write_bytes(octets if isinstance(octets, bytes) else octets.encode())
            path.chmod(0o600)
        self.conf.write_text(conf_text)

    def start(self, *more, tcx=True):
        """tcx=False: as if the kernel had none."""
        workers = self.text().count("/worker: ready")
        how = () if tcx else (PYTHON, HERE / "without_tcx.py")
        self.child = self.lab.start(self.box, self.log.name, *how, BUILD / "aditd", "-f", self.conf, "-i", self.instance, *more)
        wait_for(f"aditd on {self.box} answers", self.answers, 15)
        # It answers when it guards, which may be before the worker takes packets.
        wait_for(f"the worker on {self.box} is ready", lambda: self.text().count("/worker: ready") > workers, 15)
        return self

    def answers(self):
        assert self.child.poll() is None, f"aditd on {self.box} ended with {self.child.returncode}"
        return self.command("status", check=False).returncode != UNREACHABLE

    def stop(self):
        """Its exit code; asked to leave as systemd would."""
        return stop(self.child, 10)

    def unload(self):
        """Programs and maps outlive the daemon on purpose; this takes them away."""
        self.lab.run(self.box, BUILD / "aditd", "-i", self.instance, "--unload", check=False)

    def pid(self, role):
        """parent is the process that was started; ike and worker are its children, known by their comm."""
        if role == "parent":
            return self.child.pid
        for pid in self.lab.pids(self.box):
            try:
                comm = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                parent = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if comm == f"adit-{role}" and parent == self.child.pid:
                return pid
        return None

    def kill(self, role, signo=signal.SIGKILL):
        """Ends one role and returns the pid it had."""
        assert role in ROLES, role
        pid = wait_for(f"aditd on {self.box} has {role}", lambda: self.pid(role), 5)
        os.kill(pid, signo)
        return pid

    def command(self, *argv, check=True, timeout=20):
        """adit ARGV as a person would run it: its CompletedProcess."""
        return self.lab.run(self.box, BUILD / "adit", "-i", self.instance, *argv, check=check, timeout=timeout)

    def json(self, *argv, check=True, timeout=20):
        """The same with --json, parsed."""
        done = self.command("--json", *argv, check=check, timeout=timeout)
        return json.loads(done.stdout)

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


STRONGSWAN_CONF = """
charon {{
  load = random nonce openssl aes des sha1 sha2 md5 hmac kdf gcm ctr ccm chapoly curve25519 gmp pem pkcs1 pkcs8 x509 constraints revocation pubkey kernel-libipsec kernel-netlink socket-default vici
  install_routes = yes
  filelog {{
    all {{
      path = {log}
      default = 1
      ike = 2
      flush_line = yes
    }}
  }}
  syslog {{
    daemon {{
      default = -1
    }}
    auth {{
      default = -1
    }}
  }}
  plugins {{
    vici {{
      socket = unix://{vici}
    }}
    kernel-libipsec {{
      allow_peer_ts = no
    }}
  }}
}}
"""


class Charon:
    """charon with ESP in user space (kernel-libipsec: always in UDP, no ESN, no AH).  It has a mount namespace
    of its own, because its pid file and its sockets have fixed names below /run."""

    def __init__(self, lab, box, swanctl_text, files=None):
        self.lab, self.box = lab, box
        self.dir = lab.dir / f"{box}-charon"
        self.log = self.dir / "charon.log"
        self.uri = f"unix://{self.dir}/vici"
        (self.dir / "run").mkdir(parents=True, exist_ok=True)
        for name, octets in (files or {}).items():  # "x509/gw.pem", "private/gw.pem", ...
            path = self.dir / "swanctl" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets if isinstance(octets, bytes) else octets.encode())
        (self.dir / "swanctl").mkdir(exist_ok=True)
        (self.dir / "strongswan.conf").write_text(STRONGSWAN_CONF.format(log=self.log, vici=self.dir / "vici"))
        self.conf = self.dir / "swanctl" / "swanctl.conf"
        self.conf.write_text(swanctl_text)
        self.child = None

    def start(self):
        script = 'mount --make-rprivate / && mount --bind "$0/run" /run && exec /usr/lib/ipsec/charon'
        env = dict(os.environ, STRONGSWAN_CONF=str(self.dir / "strongswan.conf"))
        self.child = self.lab.start(self.box, f"{self.box}-charon.out.log", "unshare", "-m", "bash", "-c", script,
                                    self.dir, env=env)
        wait_for(f"charon on {self.box} listens", self._listens, 15)
        self.swanctl("--load-all", "--file", self.conf)
        return self

    def _listens(self):
        assert self.child.poll() is None, f"charon on {self.box} ended with {self.child.returncode}"
        return (self.dir / "vici").exists()

    def swanctl(self, *argv, check=True, timeout=30):
        env = dict(os.environ, SWANCTL_DIR=str(self.dir / "swanctl"))
        return self.lab.run(self.box, "swanctl", *argv, "--uri", self.uri, check=check, timeout=timeout, env=env)

    def initiate(self, child, timeout=20):
        return self.swanctl("--initiate", "--child", child, "--timeout", timeout, timeout=timeout + 10)

    def terminate(self, ike, timeout=10):
        return self.swanctl("--terminate", "--ike", ike, "--timeout", timeout, timeout=timeout + 10)

    def sas(self):
        """What `swanctl --list-sas` prints; empty when there is none."""
        return self.swanctl("--list-sas").stdout

    def stop(self):
        return stop(self.child, 10)

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""
