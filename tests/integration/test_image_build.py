# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel-image-build with a small distribution (tiny_image.py): the same lock gives the same bytes,
recipes inherit, mistakes are told with file and line, and nothing that stops a build leaves half of a
version behind."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

from tiny_image import VERSION, Tiny, run, versions, write

FILES = ["vmlinuz", "initrd", "root.erofs", "manifest.json", "manifest.sig", "packages.lock", "sbom.json"]

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="building an image needs root"),
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed"),
]


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A distribution, and a cache that has built it once: (tiny, out, cache)."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny = Tiny(folder)
    result = tiny.build(folder / "out", folder / "cache", "--version", VERSION)
    assert result.returncode == 0, result.stderr
    return tiny, folder / "out", folder / "cache"


@pytest.fixture
def own(warm, tmp_path):
    """A copy of the recipe and the lock for one test; packages and cache are shared."""
    tiny, _, cache = warm
    mine = object.__new__(Tiny)
    mine.__dict__.update(vars(tiny), packages=dict(tiny.packages), folder=tmp_path)
    shutil.copytree(tiny.recipe.parent, tmp_path / "recipes")
    mine.recipe = tmp_path / "recipes/tiny"
    mine.lock = mine.write_lock()
    return mine, tmp_path / "out", cache


def extract(version, target):
    """The files of a built root."""
    run("fsck.erofs", f"--extract={target}", version / "root.erofs")
    return target


def ok(result):
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def refused(result, out):
    assert result.returncode == 1, result.stdout
    assert versions(out) == []
    return result.stderr


def test_same_lock_same_bytes(warm, tmp_path):
    """In another cache and another folder, on another kind of file system if there is one."""
    tiny, out, _ = warm
    cache = tmp_path / "cache"
    cache.mkdir()
    run("mount", "-t", "tmpfs", "carrel-test", cache)
    try:
        ok(tiny.build(tmp_path / "out", cache, "--version", VERSION))
    finally:
        run("umount", cache)
    for name in FILES:
        first = (out / "tiny" / VERSION / name).read_bytes()
        assert first == (tmp_path / "out/tiny" / VERSION / name).read_bytes(), name


def test_what_a_version_says_of_itself(warm, tmp_path):
    tiny, out, _ = warm
    version = out / "tiny" / VERSION
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["memory_min_mib"] == 128 and manifest["packages"] == 4 and manifest["handoff"] == "hard"
    for part in ("lock", "sbom"):
        sha256 = run("sha256sum", version / manifest[part]["file"]).split()[0].decode()
        assert manifest[part]["sha256"] == sha256
    assert (version / "packages.lock").read_bytes() == tiny.lock.read_bytes()
    run(tiny.programs / "carrel-image-sign", "--verify", "--pub", tiny.key.with_suffix(".pub"),
        version / "manifest.json", version / "manifest.sig")
    root = extract(version, tmp_path / "root")
    installed = re.findall(r"^Package: (\S+)\n(?:.*\n)*?Version: (\S+)$", (root / "var/lib/dpkg/status").read_text(),
                           re.MULTILINE)
    sbom = json.loads((version / "sbom.json").read_text())
    assert sbom["spdxVersion"] == "SPDX-2.3"
    named = [(p["name"], p["versionInfo"], p["checksums"][0]["checksumValue"]) for p in sbom["packages"]
             if "checksums" in p]
    assert sorted(n[:2] for n in named) == sorted(installed + [("linux-image-9.9-tiny", "1")])
    lock = [line.split()[0] for line in tiny.lock.read_text().splitlines()]
    assert [n[2] for n in named] == lock
    locators = {p["externalRefs"][0]["referenceLocator"] for p in sbom["packages"] if "externalRefs" in p}
    assert "pkg:deb/debian/tiny-app@1.0%2Bx?arch=amd64&distro=bookworm" in locators
    related = {r["relatedSpdxElement"] for r in sbom["relationships"]}
    assert related == {p["SPDXID"] for p in sbom["packages"]}
    assert "built 20" in (version / "build.log").read_text()
    assert (root / "etc/tiny.conf").exists() and not (root / "usr/bin/diff").exists()
    assert os.readlink(root / "etc/systemd/system/cron.service") == "/dev/null"
    assert 'XkbLayout" "kr"' in (root / "etc/X11/xorg.conf.d/20-carrel-keyboard.conf").read_text()
    assert (root / "usr/libexec/carrel/session-command").read_text().endswith("exec tiny-session\n")
    assert (root / "var/lib/tiny-configured").read_text() == "configure\n"
    names = run("cpio", "-t", "--quiet", input=(version / "initrd").read_bytes()).decode().split()
    assert {"modules/lower.ko", "modules/upper.ko", "init"} <= set(names)


def test_nothing_changed_and_signed_again(own):
    tiny, out, cache = own
    assert "version" in ok(tiny.build(out, cache, "--unsigned"))
    made = versions(out)
    signature = out / "tiny/current/manifest.sig"
    assert not signature.exists()
    said = ok(tiny.build(out, cache))
    assert "is signed now" in said and "is up to date" in said
    assert versions(out) == made and signature.exists()
    assert "signed" not in ok(tiny.build(out, cache))


def test_a_changed_package_has_its_layer_made_again(own):
    tiny, out, cache = own
    tiny.app("2.0")
    tiny.lock = tiny.write_lock()
    said = ok(tiny.build(out, cache))
    assert "layer 2 of 2" in said and "layer 1" not in said
    assert "tiny-app_2.0_amd64.deb" in (out / "tiny/current/packages.lock").read_text()


def test_a_cache_that_was_moved_makes_the_next_layer(own, tmp_path):
    tiny, out, cache = own
    shutil.copytree(cache, tmp_path / "moved")
    tiny.app("4.0")
    tiny.lock = tiny.write_lock()
    said = ok(tiny.build(out, tmp_path / "moved", "--version", VERSION))
    assert "layer 2 of 2" in said and "layer 1" not in said
    # a layer has nothing of the cache that made it: the bytes are those of an empty one
    ok(tiny.build(tmp_path / "other", tmp_path / "empty", "--version", VERSION))
    for layer in (tmp_path / "empty/layers").glob("*.tar.zst"):
        assert layer.read_bytes() == (tmp_path / "moved/layers" / layer.name).read_bytes()
    for name in FILES:
        assert (out / "tiny" / VERSION / name).read_bytes() == (tmp_path / "other/tiny" / VERSION / name).read_bytes()


def test_packages_come_from_the_cache_else_from_the_lock(own, tmp_path):
    tiny, out, _ = own
    cache, gone = tmp_path / "cache", tmp_path / "gone"
    (cache / "debs").mkdir(parents=True)
    app = tiny.packages["tiny-app"]
    # in the cache, but damaged: the address of the lock helps
    (cache / "debs" / app.name).write_bytes(app.read_bytes()[:-1] + b"?")
    lock = tiny.lock.read_text()
    tiny.lock.write_text(lock.replace(str(tiny.packages["tiny-base"]), str(gone)))
    error = refused(tiny.build(out, cache), out)
    assert "tiny-base_1_amd64.deb" in error and str(gone) in error and "Put the file into" in error
    assert (cache / "debs" / app.name).read_bytes() == app.read_bytes()
    # what the address does not give the cache may
    shutil.copy(tiny.packages["tiny-base"], cache / "debs")
    said = ok(tiny.build(out, cache))
    assert "to be fetched: 0," in said


@pytest.mark.parametrize("change, message", [
    (lambda text: text.replace(" file:", " ", 1), r"packages.lock:1: is not a line of a lock"),
    (lambda text: text + text.splitlines()[0] + "\n", r"the last line must be the kernel's"),
    (lambda text: "".join(text.splitlines(True)[:2] + text.splitlines(True)[3:]),
     r"packages:2: the lock .* has no package \"tiny-app\""),
    (lambda text: re.sub(r"[^ ]*tiny-base[^ ]* file", "../tiny-base.deb file", text), r"packages.lock:1: is not"),
])
def test_bad_locks(own, change, message):
    tiny, out, cache = own
    tiny.lock.write_text(change(tiny.lock.read_text()))
    assert re.search(message, refused(tiny.build(out, cache), out))


def child_recipe(tiny, **keys):
    """A recipe based on tiny."""
    child = tiny.recipe.parent / "child"
    write(child / "recipe", "".join(f"{k} = {v}\n" for k, v in ({"base": "tiny", "name": "child"} | keys).items()))
    tiny.recipe = child
    return child


def test_a_recipe_inherits(own, tmp_path):
    tiny, out, cache = own
    child = child_recipe(tiny, memory_min=256)
    write(child / "overlay/etc/tiny.conf", "of the child\n")
    write(child / "hooks/05-early.sh", "#!/bin/sh\necho child >>\"$1/etc/hooks\"\n", 0o755)
    write(child / "mask", "unit atd.service\n")
    ok(tiny.build(out, cache, "--set", "keyboard=de(nodeadkeys)"))
    version = (out / "child/current").resolve()
    assert json.loads((version / "manifest.json").read_text())["memory_min_mib"] == 256
    root = extract(version, tmp_path / "root")
    assert (root / "etc/tiny.conf").read_text() == "of the child\n"
    assert (root / "etc/hooks").read_text() == "tiny\nchild\n"
    assert {"cron.service", "atd.service", "keep"} <= set(os.listdir(root / "etc/systemd/system"))
    keyboard = (root / "etc/X11/xorg.conf.d/20-carrel-keyboard.conf").read_text()
    assert '"XkbLayout" "de"' in keyboard and '"XkbVariant" "nodeadkeys"' in keyboard


@pytest.mark.parametrize("file, text, message", [
    ("recipe", "foo = 1\n", r"child/recipe:3: unknown key \"foo\"; known keys: base name"),
    ("recipe", "\n# comment\nsudo = perhaps\n", r"child/recipe:5: sudo is \"perhaps\"; allowed: yes, no"),
    ("recipe", "sudo = yes\nsudo = no\n", r"child/recipe:4: the key \"sudo\" is given a second time"),
    ("recipe", "nonsense\n", r"child/recipe:3: \"nonsense\" is not of the form key = value"),
    ("recipe", "memory_min = lots\n", r"child/recipe:3: memory_min is \"lots\"; allowed: MiB"),
    ("recipe", "drawn = painted\n", r"child/recipe:3: drawn is \"painted\"; allowed: window, desktop"),
    ("recipe", "keyboard = 한국\n", r"child/recipe:3: keyboard is"),
    ("recipe", "session = nosuch-session\n", r"child/recipe:3: session is \"nosuch-session\"; the image has neither"),
    ("recipe", "cmdline = a\"b\n", r"child/recipe:3: cmdline is"),
    ("packages", "\nUPPER\n", r"child/packages:2: \"UPPER\" is not known; allowed: the name of a package"),
    ("packages", "# a comment\nfoo\n", r"child/packages:2: the lock .* has no package \"foo\""),
    ("modules", "upper\nnosuch\n", r"child/modules:2: the kernel 9.9-tiny has no module \"nosuch\""),
    ("files", "/etc/passwd\n", r"child/files: a recipe of kind desktop has no files; its lists: packages modules mask trim"),
    ("mask", "unit cron\n", r"child/mask:1: \"unit cron\" is not known; allowed: unit NAME"),
    ("trim", "/usr/../etc\n", r"child/trim:1: \"/usr/../etc\" must not have"),
    ("trim", "etc\n", r"child/trim:1: \"etc\" is not known; allowed: a path"),
    ("hooks/10-x.sh", "", r"hooks/10-x.sh: a hook must be executable"),
])
def test_mistakes_have_file_and_line(own, file, text, message):
    tiny, out, cache = own
    child = child_recipe(tiny)
    (child / file).parent.mkdir(exist_ok=True)
    with open(child / file, "a", encoding="utf-8") as f:
        f.write(text)
    error = refused(tiny.build(out, cache), out)
    assert re.search(message, error), error


def test_bases_that_are_no_recipes(own):
    tiny, out, cache = own
    child = child_recipe(tiny, base="nosuch")
    assert "child/recipe:1: there is no recipe \"nosuch\"" in refused(tiny.build(out, cache), out)
    (child / "recipe").write_text("name = child\nbase = ../tiny\n")
    assert "child/recipe:2: base is \"../tiny\"" in refused(tiny.build(out, cache), out)
    (child / "recipe").write_text("base = tiny\nname = child\nbase = tiny\n")
    assert "child/recipe:3: base can only be given in the file of a recipe, once" in refused(tiny.build(out, cache), out)
    (child / "recipe").write_text("name = child\nbase = tiny\n")
    assert "--set: base can only" in refused(tiny.build(out, cache, "--set", "base=tiny"), out)
    with open(child.parent / "tiny/recipe", "a", encoding="utf-8") as f:
        f.write("base = child\n")
    assert re.search(r"tiny/recipe:\d+: the bases of this recipe go in a circle: child -> tiny -> child",
                     refused(tiny.build(out, cache), out))


def test_apt_knows_no_such_package(own):
    """Without a lock the building machine's apt is asked."""
    tiny, out, cache = own
    write(tiny.recipe / "packages", "less\n# not there\nno-such-package-of-carrel\n")
    write(tiny.recipe / "recipe", (tiny.recipe / "recipe").read_text().replace("image-tiny", "image-amd64"))
    arguments = tiny.arguments(out, cache)
    at = arguments.index("--lock")
    result = subprocess.run(arguments[:at] + arguments[at + 2:], capture_output=True, text=True, check=False)
    if "knows no suite" in result.stderr or "knows no kernel" in result.stderr:
        pytest.skip("this machine has no lists of Debian's packages: apt-get update")
    assert "tiny/packages:3: apt knows no package \"no-such-package-of-carrel\"" in refused(result, out)


def processes(cache):
    """Processes that have the cache among their words or their open folders."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace")
            here = os.readlink(f"/proc/{pid}/cwd") + os.readlink(f"/proc/{pid}/root")
        except OSError:
            continue
        if str(cache) in words + here and int(pid) != os.getpid():
            found.append((pid, words))
    return found


def wait_gone(cache):
    """Those of a killed build are killed by the kernel, which takes a moment."""
    deadline = threading.Event()
    for _ in range(200):
        if not processes(cache):
            return
        deadline.wait(0.05)
    assert processes(cache) == []


def start(tiny, out, cache, *more):
    return subprocess.Popen(tiny.arguments(out, cache, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def read_until(process, text):
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"the build never said {text!r}: {process.stderr.read()}")


@pytest.mark.parametrize("point", ["packages: 4", "layer 1 of 2 50"])
def test_killed_with_an_empty_cache(own, tmp_path, point):
    tiny, out, _ = own
    cache = tmp_path / "cache"
    process = start(tiny, out, cache)
    read_until(process, point)
    process.kill()
    wait_gone(cache)
    assert versions(out) == []
    if point.startswith("layer"):
        ok(tiny.build(out, cache))
        assert len(versions(out)) == 2  # the version, and `current`


@pytest.mark.parametrize("point, number", [
    ("layer 2 of 2", signal.SIGTERM), ("tree: overlay", signal.SIGKILL), ("root:", signal.SIGKILL),
    ("signing", signal.SIGKILL)])
def test_killed_later(own, tmp_path, point, number):
    tiny, out, cache = own
    if point.startswith("layer"):
        tiny.app("3.0")
        tiny.lock = tiny.write_lock()
    if point == "signing":
        # a stand-in that never ends: the manifest is there then, its signature is not
        programs = tmp_path / "programs"
        shutil.copytree(tiny.programs, programs)
        tiny.programs = programs
        write(programs / "carrel-image-sign", f"#!/bin/sh\ntouch {tmp_path}/signing\nexec sleep 600\n", 0o755)
    process = start(tiny, out, cache)
    read_until(process, point if point != "signing" else "root:")
    while point == "signing" and not (tmp_path / "signing").exists():
        assert process.poll() is None
        threading.Event().wait(0.02)
    process.send_signal(number)
    stderr = process.communicate(timeout=30)[1]
    wait_gone(cache)
    assert versions(out) == []
    assert f"{cache}/work" not in run("cat", "/proc/mounts").decode()
    if number == signal.SIGTERM:
        assert "stopped; nothing was published" in stderr and process.returncode == 143
        assert not (cache / "work").exists()


def test_two_at_once(own, tmp_path):
    tiny, out, cache = own
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    write(tiny.recipe / "hooks/20-wait.sh", f"#!/bin/sh\ncat {fifo}\n", 0o755)
    first = start(tiny, out, cache)
    read_until(first, "tree: overlay")
    second = start(tiny, out, cache)
    read_until(second, "another build uses")
    fifo.write_text("go\n")
    assert first.wait(timeout=60) == 0
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 0 and "is up to date" in said
    assert len(versions(out)) == 2


@pytest.mark.skipif(not shutil.which("newuidmap"), reason="uidmap is not installed")
def test_as_an_ordinary_user(warm):
    """The bytes are those that root gets. The user's range of ids is known in a mount namespace alone."""
    tiny, made, _ = warm
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        ok(tiny.build_as_nobody(folder, "--version", VERSION))
        assert not (folder / "cache/work").exists()
        for file in ("vmlinuz", "initrd", "root.erofs"):
            assert (folder / "out/tiny" / VERSION / file).read_bytes() == (made / "tiny" / VERSION / file).read_bytes()


def test_full_disk(own, tmp_path):
    tiny, out, _ = own
    cache = tmp_path / "small"
    cache.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=24m", "carrel-test", cache)
    try:
        error = refused(tiny.build(out, cache), out)
    finally:
        run("umount", cache)
    assert f"the disk of {cache} is full" in error and "make room there" in error


def test_full_disk_of_images(own, tmp_path):
    tiny, out, cache = own
    out.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=2m", "carrel-test", out)
    try:
        error = refused(tiny.build(out, cache), out)
    finally:
        run("umount", out)
    assert f"the disk of {out} is full" in error and not (out / "tiny/.new").exists()
