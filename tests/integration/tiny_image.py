# SPDX-License-Identifier: GPL-2.0-or-later
"""A distribution of four small packages and a recipe for it: carrel-image-build does with them all
that it does for a real image, in seconds and without a network.

tiny-base has the dpkg, shell and tar of this machine, for the packages are really installed."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import signing

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / "images/build/carrel-image-build"
BUILT = TOP / "build/out"
VERSION = "20260301.1"

BASE_PROGRAMS = ["sh", "dpkg", "dpkg-deb", "dpkg-query", "dpkg-split", "dpkg-trigger", "tar", "rm", "cat",
                 "env", "ldconfig", "start-stop-daemon", "diff"]
RECIPE = """name = tiny
kind = desktop
suite = bookworm
kernel = linux-image-tiny
locales = ko_KR.UTF-8
language = ko_KR.UTF-8
timezone = Asia/Seoul
keyboard = kr
session = tiny-session
memory_min = 128
sudo = no
upper = 40%
compression = lz4
cmdline = quiet
"""
KERNEL = "9.9-tiny"


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, **options).stdout


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def copy_programs(tree):
    """The programs with the libraries that they are linked to."""
    files = set()
    for name in BASE_PROGRAMS:
        path = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin")
        files.add(path)
        files.update(re.findall(r"/\S+", subprocess.run(["ldd", path], capture_output=True, text=True,
                                                        check=False).stdout))
    for file in files:
        if not os.path.isfile(file):
            continue
        at = file if file.startswith("/usr/") else "/usr" + file
        target = tree / at[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)


def make_modules(folder):
    """Two modules: upper uses a symbol of lower."""
    folder.mkdir(parents=True)
    sources = {
        "lower": "int lower_symbol; __attribute__((section(\"__ksymtab_strings\"),used)) "
                 "static const char exported[] = \"lower_symbol\";",
        "upper": "extern int lower_symbol; int *upper_use = &lower_symbol;",
    }
    for name, source in sources.items():
        info = (f"__attribute__((section(\".modinfo\"),used)) static const char info[] = "
                f"\"license=GPL\\0firmware=tiny/{name}.bin\\0name={name}\";")
        run("gcc", "-c", "-x", "c", "-o", folder / f"{name}.ko", "-", input=(source + info).encode())


class Tiny:
    """The packages below `folder`, a lock of them, a recipe, programs and keys."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.pool = self.folder / "pool"
        self.pool.mkdir(parents=True)
        self.recipe = self.folder / "recipes/tiny"
        self.packages = {}
        self._make_packages()
        self.lock = self.write_lock()
        self._make_recipe()
        self.programs = self._programs()
        self.key = signing.make_keys(self.folder / "pki")

    def package(self, name, version, tree, *fields, postinst=None):
        """Builds and adds (or replaces) a package; its files are below `tree`."""
        write(tree / "DEBIAN/control", "\n".join([
            f"Package: {name}", f"Version: {version}", "Architecture: amd64", "Section: misc", "Priority: optional",
            "Maintainer: Tiny \"Quotes\" <tiny@example.org>", *fields, f"Description: {name}", ""]))
        if postinst:
            write(tree / "DEBIAN/postinst", f"#!/bin/sh\nset -e\n{postinst}\n", 0o755)
        file = self.pool / f"{name}_{version}_amd64.deb"
        run("dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, file)
        self.packages.pop(name, None)
        self.packages[name] = file

    def _make_packages(self):
        base = self.folder / "base"
        copy_programs(base)
        write(base / "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        write(base / "etc/group", "root:x:0:\n")
        (base / "var/lib/dpkg").mkdir(parents=True)
        self.package("tiny-base", "1", base, "Essential: yes")
        self.package("usr-is-merged", "37", self.folder / "merged", "Source: usrmerge", "Essential: yes",
                     "Depends: tiny-base")
        self.app("1.0+x")
        kernel = self.folder / "kernel"
        write(kernel / f"boot/vmlinuz-{KERNEL}", "not a real kernel " * 100)
        modules = kernel / "lib/modules" / KERNEL
        make_modules(modules / "kernel")
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            write(modules / name, "")
        self.package(f"linux-image-{KERNEL}", "1", kernel)

    def app(self, version):
        """The package with the desktop's session."""
        tree = self.folder / f"app-{version}"
        write(tree / "usr/bin/tiny-session", f"#!/bin/sh\necho {version}\n", 0o755)
        self.package("tiny-app", version, tree, "Depends: tiny-base",
                     postinst="echo \"$1\" >/var/lib/tiny-configured")

    def write_lock(self, name="packages.lock"):
        """A lock of all the packages; the kernel's stands last."""
        lines = []
        for package in sorted(self.packages, key=lambda p: p.startswith("linux-image")):
            file = self.packages[package]
            data = file.read_bytes()
            lines.append(f"{hashlib.sha256(data).hexdigest()} {len(data)} {file.name} file:{file}\n")
        (self.folder / name).write_text("".join(lines))
        return self.folder / name

    def _make_recipe(self):
        write(self.recipe / "recipe", RECIPE)
        write(self.recipe / "packages", "# the session\ntiny-app\n")
        write(self.recipe / "modules", "upper\n")
        write(self.recipe / "mask", "unit cron.service\n")
        write(self.recipe / "trim", "/usr/bin/diff\n")
        write(self.recipe / "overlay/etc/tiny.conf", "of the recipe\n")
        write(self.recipe / "overlay/etc/systemd/system/keep", "\n")
        write(self.recipe / "hooks/10-tiny.sh", "#!/bin/sh\necho tiny >>\"$1/etc/hooks\"\n", 0o755)

    def _programs(self):
        """The image's programs: what they do is no part of a build."""
        programs = self.folder / "programs"
        programs.mkdir()
        for name in ("carrel-agent", "carrel-waitscreen", "carrel-ximwait", "carrel-desktop-init"):
            shutil.copy("/bin/true", programs / name)
        shutil.copy(BUILT / "carrel-image-sign", programs)
        return programs

    def arguments(self, out, cache, *more):
        """The command of a signed build from the lock."""
        return [str(a) for a in (BUILD, "--out", out, "--cache", cache, "--programs", self.programs, "--recipe",
                                 self.recipe, "--lock", self.lock, "--sign", self.key, *more)]

    def build(self, out, cache, *more):
        return subprocess.run(self.arguments(out, cache, *more), capture_output=True, text=True, check=False)

    def build_as_nobody(self, folder, *more):
        """As an ordinary user, with copies of all that this needs, into FOLDER/out."""
        write(folder / "subids", "nobody:200000:65536\n")
        for part in ("out", "cache"):
            (folder / part).mkdir()
        shutil.copytree(self.folder, folder / "tiny", ignore=shutil.ignore_patterns("out", "cache"))
        run("chown", "-R", "nobody:nogroup", folder)
        arguments = [a.replace(str(self.folder), str(folder / "tiny"))
                     for a in self.arguments(folder / "out", folder / "cache", *more)]
        lock = folder / "tiny/packages.lock"
        lock.write_text(lock.read_text().replace(str(self.folder), str(folder / "tiny")))
        binds = "".join(f"mount --bind {folder}/subids {file}; " for file in ("/etc/subuid", "/etc/subgid"))
        return subprocess.run(["unshare", "--mount", "sh", "-ec", binds + "exec setpriv --reuid nobody "
                               "--regid nogroup --clear-groups \"$@\"", "sh", *arguments],
                              capture_output=True, text=True, check=False)


def versions(out, name="tiny"):
    """What looks like versions of an image in `out`."""
    folder = pathlib.Path(out) / name
    return sorted(f.name for f in folder.iterdir() if not f.name.startswith(".")) if folder.exists() else []
