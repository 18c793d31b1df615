# SPDX-License-Identifier: BSD-2-Clause
"""What a guest boots: a kernel and its modules, a root file system made of packages, and the build.

Three cpio archives, one behind the other, are the initramfs:
  root     the packages of vmtest/packages            made anew when that list or their versions change
  modules  the kernel's, uncompressed and pruned      made anew with the kernel
  build    programs, tests, vmtest/guest, the cases   made anew for every run, it takes a moment
A guest that boots systemd has two more, of the same kinds: the packages that only it needs, and the build once more as
"make install" lays it down, with vmtest/guest/systemd over it.
Everything lives below CACHE; an archive appears there whole or not at all.
"""
import contextlib
import fcntl
import functools
import hashlib
import itertools
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
CACHE = pathlib.Path(os.environ.get("VMTEST_CACHE", ROOT / "build" / "vmtest" / "cache"))
MAX_AGE_S = 7 * 24 * 3600  # after that, apt is asked again which version is the newest

# Of a kernel package: these folders below kernel/, and in them not what a gateway in a VM has no use for.
MODULES = ("net", "crypto", "lib", "arch/x86/crypto", "drivers/net", "drivers/virtio", "drivers/char/hw_random",
           "drivers/char/virtio_console.ko")
NOT_MODULES = re.compile(r"/(wireless|usb|can|phy|pcs|mdio|dsa|hamradio|arcnet|fddi|wwan|wan|hyperv|ieee802154|mac802154|"
                         r"bluetooth|mac80211|ceph|sunrpc|rds|tipc|openvswitch|batman-adv|9p|nfc|smc|sctp|atm|appletalk|"
                         r"rxrpc|dccp|ax25|rose|netrom|6lowpan)(/|\.ko)|drivers/net/ethernet/(?!intel/e1000)")
NOT_ROOT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian",
            "usr/share/bash-completion", "usr/share/zsh", "usr/share/bug", "usr/share/gcc", "etc/init.d", "usr/share/apport",
            "var/cache")
NOT_WITHOUT_SYSTEMD = ("usr/lib/systemd",)


class ImageError(Exception):
    """Something that the caller should read: what was being made, and what went wrong."""


def _run(what, argv, **more):
    done = subprocess.run([str(a) for a in argv], text=True, capture_output=True, check=False, **more)
    if done.returncode:
        raise ImageError(f"{what}: {argv[0]} ended with {done.returncode}:\n{done.stdout[-500:]}{done.stderr[-1500:]}")
    return done.stdout


@contextlib.contextmanager
def alone():
    """One builder at a time in this cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in CACHE.glob("tmp*"):  # of one that was killed
            shutil.rmtree(left)
        yield


def _cpio(tree, out):
    tree.chmod(0o755)  # it becomes the mode of /
    names = _run("archive", ["find", ".", "-print0"], cwd=tree)
    with open(str(out) + ".new", "wb") as to:
        subprocess.run(["cpio", "--null", "-o", "-H", "newc", "-R", "0:0", "--quiet", "--reproducible"], input=names.encode(),
                       cwd=tree, stdout=to, check=True)
    os.replace(str(out) + ".new", out)


# ---- packages ----------------------------------------------------------------------------------------------

def _apt_options(where, sources=None):
    """Options that keep apt's files in our cache.  sources: lines to use instead of this machine's own."""
    opts = {"Dir::Cache": where, "Dir::Cache::archives": where / "archives", "APT::Sandbox::User": "root",
            "Acquire::Languages": "none", "Acquire::Retries": "3", "APT::Keep-Downloaded-Packages": "true"}
    (where / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    if sources is not None:
        (where / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (where / "sources.list").write_text(sources)
        opts |= {"Dir::State::lists": where / "lists", "Dir::Etc::sourcelist": where / "sources.list",
                 "Dir::Etc::sourceparts": "/dev/null", "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false"}
    return [f"-o{k}={v}" for k, v in opts.items()]


@functools.cache
def update_lists():
    """This machine's own lists, asked for once: a container comes without them."""
    _run("package lists", ["apt-get", "-q", "update"])


def mirror(suite, again=True):
    """Where this machine's apt gets Debian from: the suites it is not set up with are asked for there as well."""
    label = "Debian-Security" if suite.endswith("-security") else "Debian"
    lines = _run("apt", ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)"]).splitlines()
    for line in lines:
        if line.startswith(label + " "):
            return line.split()[-1]
    if again:
        update_lists()
        return mirror(suite, again=False)
    raise ImageError(f"no mirror for {suite} in this machine's apt sources (apt-get indextargets: no Label {label})")


def _by_version(versions):
    newer = lambda a, b: 1 if subprocess.run(["dpkg", "--compare-versions", a, "gt", b], check=False).returncode == 0 else -1
    return sorted(versions, key=functools.cmp_to_key(newer))


def _download_kernel(where, suites, package):
    """The .debs of the newest kernel that PACKAGE is or leads to in the suites."""
    sources = None
    if suites != "*":
        sources = "".join(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror(s)} {s} main\n"
                          for s in suites.split(","))
    opts = _apt_options(where, sources)
    if sources:
        _run(f"kernel lists of {suites}", ["apt-get", *opts, "-q", "update"])
    for old in where.glob("*.deb"):
        old.unlink()
    # From a metapackage to the image, and from Linux 7 on to the packages that it is divided into.
    wanted, seen = [package], set()
    while wanted:
        package = wanted.pop()
        seen.add(package)
        found = re.findall(r"^ *\S+ \| +(\S+) \| .*Packages$",
                           _run(package, ["apt-cache", *opts, "madison", package]), re.M)
        if not found:
            raise ImageError(f"{suites} has no package {package}")
        version = _by_version(set(found))[-1]
        _run(package, ["apt-get", *opts, "-q", "download", f"{package}={version}"], cwd=where)
        show = _run(package, ["apt-cache", *opts, "show", f"{package}={version}"])
        depends = " ".join(re.findall(r"^(?:Pre-)?Depends:(.*)$", show, re.M))
        wanted += set(re.findall(r"\blinux-(?:image|binary|modules|base)-\d[^\s,|]*", depends)) - seen
    shutil.rmtree(where / "lists")
    return sorted(where.glob("*.deb"))


class Kernel:
    """One line of vmtest/kernels."""

    def __init__(self, name, suites, package):
        self.optional = name.endswith("?")
        self.name, self.suites, self.package = name.rstrip("?"), suites, package
        self.dir = CACHE / "kernels" / self.name

    vmlinuz = property(lambda self: self.dir / "vmlinuz")
    modules = property(lambda self: self.dir / "modules.cpio")
    release = property(lambda self: (self.dir / "release").read_text().strip())

    def _files(self):
        ret = [pathlib.Path(p) for p in self.package.split(",")]
        for path in ret:
            if not path.is_file():
                raise ImageError(f"kernel {self.name}: no file {path}")
        return ret

    def _is_fresh(self):
        stamp = self.dir / "origin"
        wanted = f"{self.suites} {self.package} {hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()}"
        if not stamp.exists() or stamp.read_text() != wanted:
            return False, wanted
        if self.suites == "file":
            return all(stamp.stat().st_mtime > f.stat().st_mtime for f in self._files()), wanted
        return time.time() - stamp.stat().st_mtime < MAX_AGE_S, wanted

    def make(self, refresh=False, say=print):
        """Sees to it that the kernel is in the cache."""
        with alone():
            fresh, wanted = self._is_fresh()
            if fresh and not refresh:
                return
            self.dir.mkdir(parents=True, exist_ok=True)
            try:
                debs = (self._files() if self.suites == "file"
                        else _download_kernel(self.dir, self.suites, self.package))
            except ImageError as err:
                if not (self.dir / "origin").exists() or (self.dir / "origin").read_text() != wanted:
                    raise
                say(f"kernel {self.name}: using {self.release} of the cache: {err}")
                return
            (self.dir / "origin").unlink(missing_ok=True)  # until all of it is there
            self._unpack(debs)
            for deb in self.dir.glob("*.deb"):
                deb.unlink()
            (self.dir / "origin").write_text(wanted)
            say(f"kernel {self.name}: {self.release}")

    def _unpack(self, debs):
        with tempfile.TemporaryDirectory(dir=CACHE) as tmp:
            tmp = pathlib.Path(tmp)
            for deb in debs:
                _run(f"unpack {deb}", ["dpkg-deb", "-x", deb, tmp / "deb"])
            image = next(iter([*(tmp / "deb").glob("boot/vmlinuz-*"), *(tmp / "deb").glob("usr/lib/modules/*/vmlinuz")]), None)
            tree = next((p for p in (tmp / "deb/usr/lib/modules", tmp / "deb/lib/modules") if p.is_dir()), None)
            if not image or not tree:
                raise ImageError(f"{', '.join(d.name for d in debs)}: no kernel, or no modules, in there")
            whole = next(tree.iterdir())
            release = whole.name
            kept = tmp / "root" / "usr/lib/modules" / release
            kept.mkdir(parents=True)
            for folder in MODULES:
                for ko in _below(whole / "kernel", folder):
                    if not NOT_MODULES.search(f"/{ko.relative_to(whole)}"):
                        _copy_module(ko, kept / ko.relative_to(whole))
            for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
                shutil.copy(whole / name, kept / name)
            (tmp / "root/lib").symlink_to("usr/lib")
            _run(f"depmod {release}", ["depmod", "-b", tmp / "root", release])
            (tmp / "root/lib").unlink()  # the root archive has it
            _cpio(tmp / "root", self.modules)
            shutil.copy(image, self.vmlinuz)
            (self.dir / "release").write_text(release + "\n")


def _below(folder, name):
    at = folder / name
    if at.is_dir():
        return sorted(p for p in at.rglob("*.ko*") if p.is_file())
    return sorted(at.parent.glob(at.name + "*")) if at.parent.is_dir() else []


def _copy_module(src, dst):
    dst.parent.mkdir(parents=True, exist_ok=True)
    if src.suffix == ".xz":
        dst.with_suffix("").write_bytes(lzma.decompress(src.read_bytes()))
    elif src.suffix == ".zst":
        _run("module", ["zstd", "-dqo", dst.with_suffix(""), src])
    else:
        shutil.copy(src, dst)


def kernels():
    """The table, in its order: {name: Kernel}."""
    ret = {}
    for number, line in enumerate((HERE / "kernels").read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 3 or words[0].rstrip("?") in ret:
            raise ImageError(f"vmtest/kernels:{number}: wanted a new NAME, SUITES|file and PACKAGE, not {line.strip()!r}")
        ret[words[0].rstrip("?")] = Kernel(*words)
    return ret


def _empty_machine(where):
    """apt resolves as if nothing were installed: what this machine has plays no part."""
    (where / "status").touch()
    return [f"-oDir::State::status={where}/status", "-oAPT::Install-Recommends=false"]


# ---- the root file system ------------------------------------------------------------------------------------

def _is_elf(path):
    if path.is_symlink() or not path.is_file():
        return False
    with open(path, "rb") as f:
        return f.read(4) == b"\x7fELF"


def _needed(files):
    """{library: one of these files that names it in its dynamic section}."""
    ret, file = {}, files[0]
    for line in _run("readelf", ["readelf", "-d", "-W", *files]).splitlines():
        if line.startswith("File: "):
            file = pathlib.Path(line[6:])
        elif m := re.search(r"\(NEEDED\).*\[(.+)\]", line):
            ret[m[1]] = file
    return ret


def _extract(deb, tree):
    tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", tree], stdin=tar.stdout, check=True)
    if tar.wait():
        raise ImageError(f"{deb} cannot be read")


def _merged(tree):
    """/bin, /lib and so on are links into /usr, as in Debian: archives of before and after that move agree."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(f"usr/{name}")


def _add_libraries(tree, pool, say):
    """Copies from the pool what the tree's files need, and what those need, until nothing is missing."""
    folders = ["usr/lib/x86_64-linux-gnu", "usr/lib", "usr/lib64"]
    files = [p for p in tree.rglob("*") if _is_elf(p)]
    have = {p.name for p in tree.rglob("*.so*")}
    while files:
        added = []
        for name, user in _needed(files).items():
            if name in have:
                continue
            have.add(name)
            src = next((pool / f / name for f in folders if (pool / f / name).exists()), None)
            if not src:
                if ".so" not in user.name:  # a plugin whose library is only recommended is left as it is
                    say(f"guest: nothing provides {name} for {user.name}")
                continue
            dst = tree / "usr/lib/x86_64-linux-gnu" / name
            dst.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(src.resolve(), dst)
            added.append(dst)
        files = added


def _package_sets(boot):
    """The lines of vmtest/packages that begin with "BOOT:", or those that are for every guest."""
    lines = [w for line in (HERE / "packages").read_text().splitlines() if (w := line.split("#")[0].split())]
    if boot:
        return [words[1:] for words in lines if words[0] == boot + ":"]
    return [words for words in lines if not words[0].endswith(":")]


def make_root(refresh=False, boot=None, say=print):
    """The archive of the packages that every guest has, or of those that guests of a certain boot have besides."""
    sets = _package_sets(boot)
    recipe = hashlib.sha256((HERE / "packages").read_bytes() + pathlib.Path(__file__).read_bytes()).hexdigest()
    name = f"root-{boot}" if boot else "root"
    out, stamp = CACHE / f"{name}.cpio", CACHE / f"{name}.recipe"
    with alone():
        if stamp.exists() and stamp.read_text().split()[:1] == [recipe] and not refresh and \
                time.time() - stamp.stat().st_mtime < MAX_AGE_S:
            return out
        try:
            if refresh:
                update_lists()
            named, rest = _resolve(sets)
            versions = hashlib.sha256(" ".join(sorted(named | rest)).encode()).hexdigest()
            if not stamp.exists() or stamp.read_text().split() != [recipe, versions]:
                _build_root(sets, named, rest, out, say)
            stamp.write_text(f"{recipe} {versions}\n")
        except ImageError as err:
            if not stamp.exists() or stamp.read_text().split()[:1] != [recipe]:
                raise
            say(f"guest: using the root of the cache: {err}")
        return out


def _resolve(sets):
    """Names of archives: of the packages that the sets name, and of what those depend on."""
    opts, named, rest = _apt_options(CACHE / "apt"), set(), set()
    for packages in sets:
        what, command = f"packages {' '.join(packages)}", ["apt-get", *opts, *_empty_machine(CACHE / "apt"), "-s", "install", *packages]
        try:
            plan = _run(what, command)
        except ImageError:
            update_lists()
            plan = _run(what, command)
        for name, version, arch in re.findall(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", plan, re.M):
            (named if name in packages else rest).add(f"{name}_{version.replace(':', '%3a')}_{arch}.deb")
    return named, rest - named


def _build_root(sets, named, rest, out, say):
    apt = CACHE / "apt"
    for packages in sets:
        command = ["apt-get", *_apt_options(apt), *_empty_machine(CACHE / "apt"), "-qq", "-y", "--download-only", "install", *packages]
        try:
            _run(f"packages {' '.join(packages)}", command)
        except ImageError:  # lists that are older than what the mirror still has
            update_lists()
            _run(f"packages {' '.join(packages)}", command)
    with tempfile.TemporaryDirectory(dir=CACHE) as tmp:
        tree, pool = pathlib.Path(tmp) / "tree", pathlib.Path(tmp) / "pool"
        for t, debs in ((tree, named), (pool, rest)):
            _merged(t)
            for deb in sorted(debs):
                _extract(apt / "archives" / deb, t)
        for name in [*NOT_ROOT, *(() if "systemd" in itertools.chain(*sets) else NOT_WITHOUT_SYSTEMD)]:
            shutil.rmtree(tree / name, ignore_errors=True)
        # What every program's header asks for by its path.
        shutil.copy((pool / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2").resolve(), tree / "usr/lib64")
        _add_libraries(tree, pool, say)
        _cpio(tree, out)
    say(f"guest: root of {len(named)} packages, {out.stat().st_size >> 20} MiB")


# ---- the build --------------------------------------------------------------------------------------------------

def make_build(build, cases, out):
    """Programs, kernel-dependent tests, the guest's scripts and the cases, with the libraries they link here."""
    with tempfile.TemporaryDirectory(dir=out.parent) as tmp:
        tree = pathlib.Path(tmp)
        shutil.copytree(HERE / "guest", tree / "vmtest" / "guest", ignore=lambda at, _: ["systemd"] if at == str(HERE / "guest") else [])
        shutil.copytree(cases, tree / "vmtest" / "cases")
        shutil.copytree(HERE / "guest" / "etc", tree / "etc", dirs_exist_ok=True)
        (tree / "init").symlink_to("vmtest/guest/init")
        for name in ("aditd", "adit", "bpf/adit.bpf.o"):
            _copy_built(build / name, tree / "adit" / pathlib.Path(name).name)
        tests = [p for p in (build / "tests").glob("*/test_*") if os.access(p, os.X_OK) and p.is_file() and not p.suffix]
        for test in tests:
            _copy_built(test, tree / "adit" / test.relative_to(build))
        elves = [p for p in (tree / "adit").rglob("*") if _is_elf(p) and p.suffix != ".o"]
        for lib in set(re.findall(r"=> (/\S+)", _run("ldd", ["ldd", *elves]))):
            dst = tree / "usr/lib/x86_64-linux-gnu" / pathlib.Path(lib).name
            dst.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(lib, dst)
        _cpio(tree, out)


def make_installed(build, out):
    """What "make install" lays down, and what a box that boots systemd has besides.  Nothing is built here."""
    with tempfile.TemporaryDirectory(dir=out.parent) as tmp:
        tree = pathlib.Path(tmp)
        _run("make install", ["make", "-s", "-C", ROOT, "-o", "all", "install", f"B={build.resolve()}", f"DESTDIR={tree}"])
        subprocess.run(["strip", "-g", *[p for p in tree.rglob("*") if _is_elf(p)]], check=True)
        shutil.copytree(HERE / "guest" / "systemd", tree, symlinks=True, dirs_exist_ok=True)
        _cpio(tree, out)


def _copy_built(src, dst):
    if not src.exists():
        raise ImageError(f"{src} is not there: run make first")
    dst.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(src, dst)
    if src.suffix != ".o":
        subprocess.run(["strip", "-g", dst], check=True)
