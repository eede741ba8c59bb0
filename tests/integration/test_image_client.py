# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel-image-build makes the PCs' image from a recipe too: of its packages only what is named and
what the programs are linked to, the same bytes from the same lock, mistakes with file and line."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from tiny_image import BUILT, VERSION, Tiny, run, versions, write

FILES = ["vmlinuz", "initrd", "root.squashfs", "manifest.json", "manifest.sig", "packages.lock", "sbom.json"]
RECIPE = """name = pcs
kind = client
suite = bookworm
kernel = linux-image-tiny
compression = zstd,3
cmdline = quiet
"""
LIBRARIES = "usr/lib/x86_64-linux-gnu"

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="building an image needs root"),
    pytest.mark.skipif(not shutil.which("mksquashfs"), reason="squashfs-tools is not installed"),
]


class TinyPcs(Tiny):
    """A viewer that is linked to a library of one of the packages."""

    def _make_packages(self):
        super()._make_packages()
        tree = self.folder / "library"
        (tree / LIBRARIES).mkdir(parents=True)
        for name in ("tiny", "other"):
            run("gcc", "-shared", "-x", "c", f"-Wl,-soname,lib{name}.so.1", "-o", tree / LIBRARIES / f"lib{name}.so.1.0",
                "-", input=f"int {name}(void) {{ return 3; }}".encode())
            os.symlink(f"lib{name}.so.1.0", tree / LIBRARIES / f"lib{name}.so.1")
        write(tree / "usr/share/fonts/one.ttf", "one\n")
        write(tree / "usr/share/fonts/two.ttf", "two\n")
        self.package("tiny-library", "1", tree)
        libc = self.folder / "libc"
        for path in re.findall(r"/\S+", run("ldd", "/bin/true").decode()):
            target = libc / ("usr" + path.removeprefix("/usr"))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        self.package("tiny-libc", "1", libc)

    def _make_recipe(self):
        self.recipe = self.folder / "recipes/pcs"
        write(self.recipe / "recipe", RECIPE)
        write(self.recipe / "packages", "tiny-library\ntiny-libc\n")
        write(self.recipe / "files", "/usr/share/fonts/o*.ttf\n")
        write(self.recipe / "modules", "lower\n")
        write(self.recipe / "modules.root", "lower\nupper\n")
        write(self.recipe / "firmware", "tiny-firmware-that-nobody-has\n")
        write(self.recipe / "overlay/etc/pcs.conf", "of the recipe\n")
        write(self.recipe / "overlay/usr/bin/helper", "#!/bin/sh\n", 0o777)
        write(self.recipe / "hooks/10-setuid.sh", "#!/bin/sh\nchmod u+s \"$1/usr/bin/helper\"\n", 0o755)

    def _programs(self):
        programs = self.folder / "programs"
        programs.mkdir()
        for name in ("carrel-init", "carrel-root-init", "carrel-image-sign"):
            shutil.copy(BUILT / name, programs)
        self.link_viewer(programs, self.folder / "library" / LIBRARIES / "libtiny.so.1.0")
        self.ca = self.folder / "ca.crt"
        write(self.ca, "-----BEGIN CERTIFICATE-----\nnot read here\n-----END CERTIFICATE-----\n")
        return programs

    @staticmethod
    def link_viewer(programs, library):
        run("gcc", "-x", "c", "-o", programs / "carrel-viewer", "-", "-x", "none", library,
            input=b"int tiny(void); int main(void) { return tiny(); }")

    def arguments(self, out, cache, *more):
        return super().arguments(out, cache, "--ca", self.ca, *more)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return TinyPcs(tmp_path_factory.mktemp("pcs"))


@pytest.fixture(scope="module")
def first(tiny):
    """The folder of a version."""
    ok(tiny.build(tiny.folder / "out", tiny.folder / "cache", "--version", VERSION))
    return tiny.folder / "out/pcs" / VERSION


@pytest.fixture
def child(tiny, first, tmp_path):
    """A recipe that inherits and that a test may change; packages and cache are shared."""
    shutil.copytree(tiny.recipe.parent, tmp_path / "recipes")
    folder = tmp_path / "recipes/child"
    write(folder / "recipe", "base = pcs\nname = child\n")
    return folder


def ok(result):
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def build(tiny, folder, *more):
    """With the recipe in `folder`, into a folder beside."""
    return tiny.build(folder.parent / "out", tiny.folder / "cache", "--recipe", folder, *more)


def refused(tiny, folder, *more):
    """What is there stays as it is."""
    before = versions(folder.parent / "out", "child")
    result = build(tiny, folder, *more)
    assert result.returncode == 1, result.stdout
    assert versions(folder.parent / "out", "child") == before
    return result.stderr


def tree_of(version, folder):
    run("unsquashfs", "-n", "-q", "-d", folder, version / "root.squashfs")
    return folder


def test_same_lock_same_bytes(tiny, first, tmp_path):
    ok(tiny.build(tmp_path / "out", tmp_path / "cache", "--version", VERSION))
    for name in FILES:
        assert (first / name).read_bytes() == (tmp_path / "out/pcs" / VERSION / name).read_bytes(), name


@pytest.mark.skipif(not shutil.which("newuidmap"), reason="uidmap is not installed")
def test_as_an_ordinary_user(tiny, first):
    """The bytes are those that root gets."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        ok(tiny.build_as_nobody(folder, "--version", VERSION))
        for file in ("vmlinuz", "initrd", "root.squashfs"):
            assert (first / file).read_bytes() == (folder / "out/pcs" / VERSION / file).read_bytes(), file


def test_what_a_version_says_of_itself(tiny, first):
    manifest = json.loads((first / "manifest.json").read_text())
    assert (manifest["kind"], manifest["cmdline"], manifest["packages"]) == ("client", "quiet", 6)
    assert "memory_min_mib" not in manifest and "handoff" not in manifest
    for part in ("lock", "sbom"):
        assert manifest[part]["sha256"] == run("sha256sum", first / manifest[part]["file"]).split()[0].decode()
    assert (first / "packages.lock").read_bytes() == tiny.lock.read_bytes()
    sbom = json.loads((first / "sbom.json").read_text())
    assert {"tiny-library", "tiny-libc"} <= {p["name"] for p in sbom["packages"]}
    run(tiny.programs / "carrel-image-sign", "--verify", "--pub", tiny.key.with_suffix(".pub"),
        first / "manifest.json", first / "manifest.sig")
    root, verity = first / "root.squashfs", manifest["root"]
    assert verity["format"] == "squashfs"
    run("veritysetup", "verify", "--no-superblock", "--hash=sha256", "--data-block-size=4096",
        "--hash-block-size=4096", f"--data-blocks={verity['data_blocks']}",
        f"--hash-offset={verity['data_blocks'] * 4096}", f"--salt={verity['salt']}", root, root, verity["root_hash"])
    assert "bytes over the wire" in (first / "build.log").read_text()


def test_only_what_is_named_or_linked_to(tiny, first, tmp_path):
    root = tree_of(first, tmp_path / "root")
    assert os.listdir(root / "usr/share/fonts") == ["one.ttf"]
    assert set(os.listdir(root / LIBRARIES)) == {"libtiny.so.1", "libc.so.6"} and (root / "lib64/ld-linux-x86-64.so.2").exists()
    assert not (root / "usr/bin/dpkg").exists() and not (root / "var").exists()
    assert (root / "etc/carrel/ca.crt").read_bytes() == tiny.ca.read_bytes()
    assert (root / "etc/pcs.conf").exists()
    assert (root / "usr/bin/helper").stat().st_mode & 0o7777 == 0o755
    assert list(root.glob("usr/lib/modules/*/kernel/upper.ko")) and (root / "usr/sbin/init").exists()
    assert subprocess.run(["chroot", root, "/usr/bin/carrel-viewer"], check=False, timeout=10).returncode == 3
    names = run("cpio", "-t", "--quiet", input=run("zstd", "-dc", first / "initrd")).decode().split()
    assert "init" in names and any(name.endswith("/lower.ko") for name in names)


def test_drivers_that_a_pc_fetches_one_by_one(tiny, child, tmp_path):
    """Named in modules.root of the base and in drivers: in the pack, with the firmware that it may ask for."""
    write(child / "drivers", "upper\n")
    for name in ("tiny/upper.bin", "tiny/lower.bin", "tiny/of-no-module.bin"):
        write(tmp_path / "firmware" / name, f"firmware {name}\n" * 50)
    ok(build(tiny, child, "--firmware", tmp_path / "firmware"))
    version = (child.parent / "out/child/current").resolve()
    pack = (version / "drivers.pack").read_bytes()
    drivers = json.loads((version / "manifest.json").read_text())["files"]["drivers"]
    assert drivers == {"file": "drivers.pack", "size": len(pack), "sha256": hashlib.sha256(pack).hexdigest()}
    root = tree_of(version, tmp_path / "root")
    assert not list(root.glob("usr/lib/modules/*/kernel/upper.ko"))
    found = {}
    for line in (root / "usr/lib/carrel/drivers").read_text().splitlines():
        at, packed, size, sha256, path = line.split(" ")
        piece = pack[int(at):int(at) + int(packed)]
        assert hashlib.sha256(piece).hexdigest() == sha256
        found[path] = run("zstd", "-dc", input=piece)
        assert len(found[path]) == int(size)
    assert sorted(found) == ["firmware/tiny/lower.bin", "firmware/tiny/upper.bin", "modules/kernel/upper.ko"]
    assert found["firmware/tiny/upper.bin"] == (tmp_path / "firmware/tiny/upper.bin").read_bytes()
    names = run("cpio", "-t", "--quiet", input=run("zstd", "-dc", version / "initrd")).decode().split()
    assert [n for n in names if n.endswith(".bin")] == ["lib/firmware/tiny/lower.bin"]
    # an empty folder: none
    (tmp_path / "empty").mkdir()
    ok(build(tiny, child, "--firmware", tmp_path / "empty"))
    version = (child.parent / "out/child/current").resolve()
    assert "firmware/" not in (tree_of(version, tmp_path / "without") / "usr/lib/carrel/drivers").read_text()
    assert f"--firmware {tmp_path}/none: no such folder" in refused(tiny, child, "--firmware", tmp_path / "none")


def test_nothing_changed_and_another_ca(tiny, child):
    ok(build(tiny, child))
    made = versions(child.parent / "out", "child")
    assert "is up to date" in ok(build(tiny, child)) and versions(child.parent / "out", "child") == made
    other = child.parent / "other.crt"
    write(other, tiny.ca.read_text().replace("not read", "nor there"))
    ok(build(tiny, child, "--ca", other))
    assert len(versions(child.parent / "out", "child")) == len(made) + 1


def test_a_recipe_inherits(tiny, child, tmp_path):
    write(child / "overlay/etc/pcs.conf", "of the child\n")
    write(child / "files", "/usr/share/fonts/two.ttf\n")
    write(child / "hooks/60-late.sh", "#!/bin/sh\necho \"$RECIPE_name\" >\"$1/etc/hooks\"\n", 0o755)
    ok(build(tiny, child, "--set", "cmdline=quiet panic=5"))
    version = (child.parent / "out/child/current").resolve()
    assert json.loads((version / "manifest.json").read_text())["cmdline"] == "quiet panic=5"
    root = tree_of(version, tmp_path / "root")
    assert (root / "etc/pcs.conf").read_text() == "of the child\n" and (root / "etc/hooks").read_text() == "child\n"
    assert sorted(os.listdir(root / "usr/share/fonts")) == ["one.ttf", "two.ttf"]


@pytest.mark.parametrize("file, text, message", [
    ("recipe", "session = jwm\n", r"child/recipe:3: a recipe of kind client has no key \"session\"; its keys: base name"),
    ("recipe", "compression = lz4hc,9\n", r"child/recipe:3: compression is \"lz4hc,9\"; allowed: of squashfs"),
    ("recipe", "kind = toaster\n", r"child/recipe:3: kind is \"toaster\"; allowed: client"),
    ("mask", "unit cron.service\n", r"child/mask: a recipe of kind client has no mask; its lists: packages files"),
    ("files", "\n/usr/share/nosuch\n", r"child/files:2: no package of the recipe has \"/usr/share/nosuch\""),
    ("files", "/usr/../etc\n", r"child/files:1: \"/usr/../etc\" must not have"),
    ("modules", "nosuch\n", r"child/modules:1: the kernel 9.9-tiny has no module \"nosuch\""),
    ("drivers", "nosuch\n", r"child/drivers:1: the kernel 9.9-tiny has no module \"nosuch\""),
    ("modules.root", "upper\nnosuch\n", r"child/modules.root:2: the kernel 9.9-tiny has no module \"nosuch\""),
])
def test_mistakes_have_file_and_line(tiny, child, file, text, message):
    with open(child / file, "a", encoding="utf-8") as f:
        f.write(text)
    error = refused(tiny, child)
    assert re.search(message, error), error


def test_a_library_that_no_package_has(tiny, child, tmp_path):
    programs = tmp_path / "programs"
    shutil.copytree(tiny.programs, programs)
    run("gcc", "-shared", "-x", "c", "-Wl,-soname,libnosuch.so.1", "-o", tmp_path / "libnosuch.so", "-",
        input=b"int tiny(void) { return 4; }")
    tiny.link_viewer(programs, tmp_path / "libnosuch.so")
    error = refused(tiny, child, "--programs", programs)
    assert re.search(r"child/packages: no package has a library that /usr/bin/carrel-viewer needs \(libnosuch\.so\.1", error), error


def test_what_must_not_reach_the_pcs(tiny, child, tmp_path):
    assert f"certificate {tmp_path}/none.crt cannot be read" in refused(tiny, child, "--ca", tmp_path / "none.crt")
    write(tmp_path / "text", "hello\n")
    assert "is no certificate in PEM form" in refused(tiny, child, "--ca", tmp_path / "text")
    write(tmp_path / "both", tiny.ca.read_text() + "-----BEGIN PRIVATE KEY-----\n")
    assert "holds a private key" in refused(tiny, child, "--ca", tmp_path / "both")


def test_too_heavy_for_the_wire(tiny, child):
    (child / "overlay").mkdir()
    (child / "overlay/noise").write_bytes(os.urandom(40 << 20))
    assert "more than the 40 MB that a PC may fetch" in refused(tiny, child)
