# SPDX-License-Identifier: BSD-2-Clause
"""The build on machines that are not like this one: a package that comes in the middle of make, a header or a library
that comes or goes later, other flags.  Asked is what the programs were made of, and what was made again.

Every machine is this one with files of /usr hidden in a mount namespace; what compiles and probes is the real thing."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = "plain"
MB_HEADER = "intel-ipsec-mb.h"

needs_mb = pytest.mark.skipif(not pathlib.Path("/usr/include", MB_HEADER).exists(), reason="needs: IPsec-MB")

# /usr/include becomes a folder of links, of which some may go or be other files ("HEADER" or "HEADER=FILE").
OTHER_MACHINE = r"""
set -e
mkdir -p "$REAL"
mount --bind /usr/include "$REAL"
mount -t tmpfs tmpfs /usr/include
ln -s "$REAL"/* /usr/include/
for header in $HEADERS; do
    rm "/usr/include/${header%%=*}"
    case $header in *=*) cp -p "${header#*=}" "/usr/include/${header%%=*}" ;; esac
done
for library in $LIBRARIES; do
    mount --bind /dev/null "$(gcc -print-file-name="$library")"
done
exec "$@"
"""

# apt and dpkg of a machine that lacks one package: what it brings is there a moment after it was asked for.
DPKG_QUERY = """#!/bin/sh
for package; do :; done
[ "$package" != libipsec-mb-dev ] || [ -e "$REAL.installed" ] || exit 1
echo 'install ok installed'
"""
APT_GET = """#!/bin/sh
case "$*" in *install*libipsec-mb-dev*) sleep 2; ln -s "$REAL/intel-ipsec-mb.h" /usr/include/ && touch "$REAL.installed" ;; esac
"""


class Tree:
    """A copy of the source, and make in it."""

    def __init__(self, folder):
        self.folder = folder / "source"
        self.real = folder / "include"
        shutil.copytree(ROOT, self.folder, symlinks=True, ignore=shutil.ignore_patterns("build", ".git", "__pycache__"))
        self.tools = folder / "tools"
        self.tools.mkdir()

    def tool(self, name, text):
        path = self.tools / name
        path.write_text(text)
        path.chmod(0o755)

    def call(self, argv, headers=(), libraries=(), **variables):
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "WERROR", "CFLAGS", "ADIT_BUILD")}
        env |= {"REAL": str(self.real), "HEADERS": " ".join(headers), "LIBRARIES": " ".join(libraries),
                "PATH": f"{self.tools}:{env['PATH']}:/usr/sbin:/sbin"}
        if headers or libraries:
            argv = ["unshare", "--mount", "sh", "-c", OTHER_MACHINE, "sh", *argv]
        return subprocess.run(argv, cwd=self.folder, env=env | variables, text=True, capture_output=True, timeout=600, check=False)

    def make(self, *goals, headers=(), libraries=(), **variables):
        variables = {"CFLAGS": "-O0 -Wno-cpp", **variables}
        done = self.call(["make", "-j4", *goals, *(f"{k}={v}" for k, v in variables.items())], headers, libraries)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def has_mb(self, build, file="worker/engine_mb.o"):
        said = subprocess.run(["nm", self.folder / build / file], text=True, capture_output=True, check=True).stdout
        return "engine_ipsec_mb" in said

    def made(self, objects):
        """{object file: when it was made}."""
        return {o: p.stat().st_mtime_ns if (p := self.folder / BUILD / o).exists() else 0 for o in objects}


@pytest.fixture(scope="module", name="tree")
def _tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("build"))


def again(tree, *objects, **machine):
    """Makes objects once more, on a machine like that: (those that were made again, what make said)."""
    before = tree.made(objects)
    said = tree.make(*(f"{BUILD}/{o}" for o in objects), B=BUILD, **machine)
    after = tree.made(objects)
    return {o for o in objects if before[o] != after[o]}, said


@needs_mb
def test_the_first_make_builds_with_what_it_installed(tree):
    tree.tool("dpkg-query", DPKG_QUERY)
    tree.tool("apt-get", APT_GET)
    (tree.folder / "tests/demo.sh").write_text("#!/bin/sh\n\"$ADIT_BUILD/adit\" version\n")
    said = tree.make("demo", B="first", headers=[MB_HEADER])
    assert tree.has_mb("first"), said
    assert "built with ipsec-mb " in said and "AES-GCM by ipsec-mb" in said


@needs_mb
def test_a_program_without_ipsec_mb_says_so(tree):
    """The programs of the test before this one, after the header went again."""
    tree.tool("dpkg-query", "#!/bin/sh\necho 'install ok installed'\n")
    said = tree.make("all", B="first", headers=[MB_HEADER])
    assert f"IPsec-MB: no <{MB_HEADER}>" in said
    assert not tree.has_mb("first", "aditd")
    for program in ("adit", "aditd"):
        said = tree.call([f"first/{program}", "--version"]).stdout
        flat = " ".join(said.split())
        assert "without ipsec-mb; everything by openssl" in flat
        if "pclmulqdq" in pathlib.Path("/proc/cpuinfo").read_text():
            assert "WARN built without IPsec-MB" in flat


STATUS = r"""
set -e
mount -t bpf bpf /sys/fs/bpf 2>/dev/null || { mount -t sysfs sysfs /sys && mount -t bpf bpf /sys/fs/bpf; }
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add wan0 type veth peer name wan1
ip addr add 192.0.2.1/24 dev wan0
ip link set wan0 up && ip link set wan1 up
$PROGRAMS/aditd -f adit.conf 2>log & aditd=$!
for i in $(seq 300); do ! grep -q 'worker: ready' log || break; kill -0 $aditd && sleep 0.1; done
for i in $(seq 100); do  # 1: with a warning
    code=0; $PROGRAMS/adit -j status >status 2>/dev/null || code=$?
    [ $code -gt 1 ] || break
    sleep 0.1
done
kill $aditd && wait $aditd || :
cat log status
"""
CONF = """interface wan0 { policy map1 }
ike-proposal strong { encryption aes256gcm16; prf sha256; dh x25519 }
esp-proposal fast { encryption aes256gcm16; esn both }
peer hq { remote 192.0.2.2; local-id fqdn:a.example; remote-id fqdn:b.example; psk file:hq.psk; ike strong }
acl lan-hq { 5 permit ip 10.1.1.0/24 -> 10.1.2.0/24 }
policy map1 { 10 isakmp { peer hq; acl lan-hq; esp fast; trigger traffic } }
"""


@needs_mb
@pytest.mark.parametrize("build, says, warns", [("with", "AES-GCM by ipsec-mb", False), ("first", "everything by openssl", True)])
def test_the_log_and_status_say_it(tree, tmp_path, build, says, warns):
    programs = {"with": os.environ.get("ADIT_BUILD", str(ROOT / "build")), "first": str(tree.folder / "first")}[build]
    (tmp_path / "adit.conf").write_text(CONF)
    (tmp_path / "hq.psk").write_text("an ordinary secret of a test\n")
    (tmp_path / "hq.psk").chmod(0o600)
    done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", STATUS],
                          cwd=tmp_path, env=os.environ | {"PROGRAMS": programs}, text=True, capture_output=True, timeout=120, check=False)
    lines = done.stdout.splitlines()
    assert lines and lines[-1].startswith("{"), done.stdout + done.stderr
    status = json.loads(lines[-1])
    started = [line for line in lines if "worker: ready" in line]
    assert started and says in started[0], done.stdout
    assert says in status["crypto"]
    if "pclmulqdq" in pathlib.Path("/proc/cpuinfo").read_text():
        assert any("built without IPsec-MB" in w for w in status["warnings"]) == warns


def test_nothing_is_made_twice(tree):
    again(tree, "conf/parse.o")
    assert again(tree, "conf/parse.o")[0] == set()


@needs_mb
@pytest.mark.parametrize("machine, why", [
    ({"headers": [MB_HEADER]}, f"no <{MB_HEADER}>"),
    ({"libraries": ["libIPSec_MB.so"]}, "not usable"),
    ({"headers": [f"{MB_HEADER}=/dev/null"]}, "not usable"),
], ids=["no header", "no library", "old header"])
def test_what_goes_and_comes_back_is_noticed(tree, machine, why):
    again(tree, "worker/engine_mb.o")
    assert tree.has_mb(BUILD)
    made, said = again(tree, "worker/engine_mb.o", **machine)
    assert made and not tree.has_mb(BUILD)
    assert f"IPsec-MB: {why}" in said
    assert again(tree, "worker/engine_mb.o", **machine)[0] == set()
    made, _ = again(tree, "worker/engine_mb.o")
    assert made and tree.has_mb(BUILD)


def test_another_version_of_a_header_is_noticed(tree, tmp_path):
    """Its time is its packager's: older than what was built with the one before it."""
    other = tmp_path / "jansson.h"
    other.write_text(pathlib.Path("/usr/include/jansson.h").read_text() + "#define OF_ANOTHER_VERSION\n")
    os.utime(other, (1e9, 1e9))
    again(tree, "ctl/ctl.o")
    assert again(tree, "ctl/ctl.o", headers=[f"jansson.h={other}"])[0]
    assert again(tree, "ctl/ctl.o")[0]


@pytest.mark.parametrize("variables", [{"CFLAGS": "-O2 -DWORDS='\"two words\"'"}, {"SAN": "undefined"}, {"CC": "clang"}],
                         ids=lambda v: next(iter(v)))
def test_other_flags_are_noticed(tree, variables):
    again(tree, "worker/crypto_facts.o")
    for now in (variables, {}):
        assert again(tree, "worker/crypto_facts.o", **now)[0]
        assert again(tree, "worker/crypto_facts.o", **now)[0] == set()


def test_a_warning_stops_only_who_asked_for_it(tree):
    (tree.folder / "lib/warns.c").write_text("int adit_warns(int n);\nint adit_warns(int n)\n{\n\tint unused;\n\n\treturn n;\n}\n")
    try:
        assert "unused variable" in tree.make("lib", B="warns")
        done = tree.call(["make", "lib", "B=warns", "WERROR=1"])
        assert done.returncode != 0 and "-Werror" in done.stderr
    finally:
        (tree.folder / "lib/warns.c").unlink()
