# SPDX-License-Identifier: GPL-2.0-or-later
"""A desktop from the image to the logout, under plain QEMU: what boots, what a claim does, what
stays and what is forgotten, and that nothing of a user's is ever written to when it is damaged.

Needs root (the image is built as root). CARREL_TEST_IMAGE may name the folder of a built version.
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import time

import pytest

from desktop_vm import Desktop, make_volume

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
USER, UID, VOLUME = "앨리스", 20001, "vol-7"
WAITING = (0x20, 0x30, 0x40)
TRAY = (0x23, 0x2a, 0x33)
TERMINAL = (0x10, 0x15, 0x1c)

pytestmark = pytest.mark.lab


XFCE_PANEL, XFCE_DESKTOP = (0x35, 0x35, 0x35), (0x3a, 0x5c, 0x7a)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def version():
    """The folder of a built version of desktop-lite."""
    given = os.environ.get("CARREL_TEST_IMAGE")
    return os.path.realpath(given) if given else build("desktop-lite")


def build(recipe):
    """The folder of the recipe's newest version, which is made when it is not there."""
    if os.getuid() != 0:
        pytest.skip("building an image needs root")
    for tool in ("mmdebstrap", "qemu-system-x86_64", "mkfs.erofs", "veritysetup"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    out = os.path.join(TOP, "build", "images")
    subprocess.run([os.path.join(TOP, "images/build/carrel-image-build"), "--recipe", recipe, "--out",
                    out, "--cache", os.path.join(TOP, "build", "cache"), "--unsigned"], check=True)
    return os.path.realpath(os.path.join(out, recipe, "current"))


@pytest.fixture
def boot(version, tmp_path):
    """Starts desktops; all of them are gone afterwards."""
    running = []

    def start(**options):
        work = tmp_path / f"vm{len(running)}"
        work.mkdir()
        vm = Desktop(version, work, **options)
        running.append(vm)
        return vm

    yield start
    for vm in running:
        vm.close()


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") \
            else hashlib.sha256(file.read()).hexdigest()


def file_on_volume(path, name):
    """A file of an unmounted volume, read without mounting it."""
    return run("debugfs", "-R", f"cat /{name}", str(path))


def desktop_is_drawn(image):
    """The panel is at the bottom and the terminal has its prompt."""
    if image.getpixel((image.width // 2, image.height - 3)) != TRAY:
        return False
    prompt = image.crop((66, 84, 300, 110))  # below the title bar
    colours = {c for _, c in prompt.getcolors(prompt.width * prompt.height)}
    return TERMINAL in colours and any(min(c) > 0xc0 for c in colours)


def log_in(vm, volume, slot=0):
    vm.plug(volume, VOLUME, slot)
    start = time.monotonic()
    answer = vm.claim(USER, UID, VOLUME)
    assert answer["ok"], answer
    vm.claim_seconds = time.monotonic() - start
    vm.wait_screen(desktop_is_drawn, 60, "the desktop")


def stages(vm):
    return [m["stage"] for _, m in vm.messages if m.get("event") == "progress"]


@pytest.mark.full
def test_the_full_desktop_is_drawn(tmp_path):
    """XFCE with its panel and its background; what it is made of takes long to fetch and to build."""
    volume = tmp_path / "volume"
    make_volume(volume, UID)
    vm = Desktop(build("desktop-full"), tmp_path, memory_mib=2048, name="desktop-full@test")
    try:
        assert vm.wait_event("hello")["state"] == "standby"
        vm.plug(volume, VOLUME)
        answer = vm.claim(USER, UID, VOLUME)
        assert answer["ok"], answer
        vm.wait_screen(lambda i: i.getpixel((300, 10)) == XFCE_PANEL and
                       i.getpixel((500, 400)) == XFCE_DESKTOP, 30, "panel and background, mapped by then")
        vm.ask(op="release")
        run("e2fsck", "-fn", str(volume))
    finally:
        vm.close()


def wait_rehearsal(vm):
    """The session is on the screen, and nobody has come."""
    vm.wait_screen(lambda i: i.getpixel((i.width // 2, i.height - 3)) == TRAY, 120,
                   "the session's rehearsal")
    assert vm.hello() == ("standby", "")


def test_an_idle_desktop_rests(boot, tmp_path):
    """It rehearses the session, of which nothing stays, and then nothing in it keeps a processor busy
    while nobody does anything."""
    volume = tmp_path / "volume"
    make_volume(volume, UID)
    vm = boot(memory_mib=512)
    vm.ask(op="status", seconds=120)
    wait_rehearsal(vm)
    vm.wait_screen(lambda i: i.getpixel((5, 5)) == WAITING, 60, "the waiting screen")
    assert vm.hello() == ("standby", "")
    deadline = time.monotonic() + 90
    while (share := vm.busy(2)) > 0.15:
        assert time.monotonic() < deadline, f"it uses {share:.0%} of a processor"
    log_in(vm, volume)
    vm.type("(ls -A /home /var/tmp /dev/shm; ps -o comm= -u nobody) >left.txt; jwm -exit\n")
    vm.wait_event("session-ended", 90)
    assert vm.ask(op="release")["ok"]
    assert file_on_volume(volume, "left.txt").split() == ["/dev/shm:", "/home:", USER, "/var/tmp:"]


def test_a_session_and_the_next_one(boot, tmp_path, record_property):
    volume, damaged = tmp_path / "volume", tmp_path / "damaged"
    make_volume(volume, UID)
    os.truncate(volume, 320 << 20)  # it was made larger, and no desktop has had it since
    make_volume(damaged, UID)
    with open(damaged, "r+b") as file:
        file.seek(1024 + 0x38)
        file.write(b"\0\0")

    vm = boot()
    hello = vm.wait_event("hello")
    record_property("hello_s", round(vm.now(), 1))
    assert hello["state"] == "standby" and hello["user"] == ""
    assert hello["image"] == "desktop-lite@test"
    vm.wait_screen(lambda i: i.getpixel((5, 5)) == WAITING, 60, "the waiting screen")
    record_property("waiting_screen_s", round(vm.now(), 1))

    # the host goes and comes back
    vm.disconnect()
    vm.connect()
    vm.wait_event("hello")
    assert vm.hello() == ("standby", "")
    vm.send_raw(b'torn {"op":\n')
    assert vm.wait(lambda m: m.get("code"), 20, "a refusal")["code"] == "bad-request"
    assert vm.claim("root:x", UID, VOLUME)["code"] == "bad-request"
    assert vm.claim("carol", 0, VOLUME)["code"] == "bad-request"
    status = vm.ask(op="status")
    assert 0 < status["memory_available_mib"] < status["memory_total_mib"] <= 1024
    assert status["idle_ms"] >= 0

    # a damaged volume is refused, and not one byte of it is changed
    before = sha256(damaged)
    vm.plug(damaged, "vol-8", slot=1)
    answer = vm.claim("bob", 20002, "vol-8")
    assert answer["code"] == "volume-damaged", answer
    assert sha256(damaged) == before
    assert vm.hello() == ("standby", "")

    del vm.messages[:]
    log_in(vm, volume)
    record_property("claim_s", round(vm.claim_seconds, 1))
    assert stages(vm) == ["disk", "check", "mount", "session"]
    vm.disconnect()
    vm.connect()
    vm.wait_event("hello")
    assert vm.hello() == ("active", USER)
    assert vm.claim("bob", 20002, "vol-8")["code"] == "state"
    vm.type("(id -u; pwd; locale charmap; rm -rf /usr/share/fonts 2>/dev/null || echo refused)"
            " > mark.txt; sudo rm -rf /usr/share/fonts /usr/bin/nano;"
            " ls /usr/share/fonts /usr/bin/nano > damage.txt 2>&1; jwm -exit\n")
    vm.wait_event("session-ended", 90)
    assert vm.ask(op="release")["ok"]
    assert vm.hello() == ("releasing", USER)
    assert vm.claim(USER, UID, VOLUME)["code"] == "state"
    run("e2fsck", "-fn", str(volume))
    figures = dict(re.findall(r"^(Block (?:count|size)): +(\d+)", run("dumpe2fs", "-h", str(volume)), re.M))
    assert int(figures["Block count"]) * int(figures["Block size"]) == 320 << 20
    vm.close()
    assert file_on_volume(volume, "mark.txt").splitlines() == \
        [str(UID), f"/home/{USER}", "UTF-8", "refused"]
    assert file_on_volume(volume, "damage.txt").count("No such file") == 2 or \
        file_on_volume(volume, "damage.txt").count("없습니다") == 2

    # another desktop: the file is there, the OS is whole; and a program that does not want to end
    vm = boot()
    vm.wait_event("hello")
    log_in(vm, volume)
    vm.type("cat mark.txt > again.txt; ls /usr/share/fonts /usr/bin/nano >> again.txt;"
            " sync; sudo sh -c 'trap \"\" TERM HUP; touch stubborn; sync; while true; do sleep 1; done'\n")
    vm.wait_screen(lambda i: b"stubborn" in names(volume), 60, "the stubborn program")
    start = time.monotonic()
    assert vm.ask(op="release")["ok"]
    assert time.monotonic() - start >= 4  # it was given its time first
    run("e2fsck", "-fn", str(volume))
    again = file_on_volume(volume, "again.txt")
    assert again.startswith(f"{UID}\n") and "truetype" in again and "/usr/bin/nano" in again


def put_script(volume, text):
    """A file "k" on a volume that is mounted nowhere, so that little has to be typed to run it."""
    script = f"{volume}.k"
    with open(script, "w", encoding="utf-8") as file:
        file.write(text)
    run("debugfs", "-w", "-R", f"write {script} k", str(volume))


# Runs outside the session's control group, as only root can: kills the agent, and once more when a
# second disk is plugged in.
KILLER = """trap '' TERM HUP
cd /
echo $$ >/sys/fs/cgroup/cgroup.procs
pkill -9 -x carrel-agent
while ! test -e /sys/block/vdc; do sleep 1; done
pkill -9 -x carrel-agent
"""

# Kills the agent when the agent ends it.
AVENGER = """trap '' HUP
trap 'pkill -9 -x carrel-agent' TERM
touch ready
sync
while true; do sleep 1; done
"""


def test_agent_that_is_killed(boot, tmp_path):
    """A desktop that had a user never says that it is a standby, and its volume is let go."""
    volume, other = tmp_path / "volume", tmp_path / "other"
    make_volume(volume, UID)
    make_volume(other, owner=20002)
    put_script(volume, KILLER)
    vm = boot()
    vm.wait_event("hello")
    log_in(vm, volume)
    vm.type("touch kept; sudo sh -c \"$(cat k)\"\n")  # the volume is not in use by it
    again = vm.wait_event("hello", 90)
    assert (again["state"], again["user"]) == ("releasing", USER)
    assert vm.claim("bob", 20002, VOLUME)["code"] == "state"
    assert vm.ask(op="release")["ok"]
    run("e2fsck", "-fn", str(volume))
    assert b"kept" in names(volume)
    # and once more after it had released
    vm.plug(other, "vol-8", slot=1)
    again = vm.wait_event("hello", 90)
    assert (again["state"], again["user"]) == ("releasing", USER)
    assert vm.claim("bob", 20002, "vol-8")["code"] == "state"
    assert vm.ask(op="release")["ok"]


def test_agent_that_is_killed_by_what_it_ends(boot, tmp_path):
    volume = tmp_path / "volume"
    make_volume(volume, UID)
    put_script(volume, AVENGER)
    vm = boot()
    vm.wait_event("hello")
    log_in(vm, volume)
    vm.type("sudo sh k\n")
    vm.wait_screen(lambda i: b"ready" in names(volume), 60, "the program")
    vm.send(op="release", id=1000)
    again = vm.wait_event("hello", 90)
    assert (again["state"], again["user"]) == ("releasing", USER)
    assert vm.ask(op="release")["ok"]
    run("e2fsck", "-fn", str(volume))


def names(volume):
    """File names on a volume that is in use; what debugfs thinks of its journal does not matter."""
    return subprocess.run(["debugfs", "-R", "ls -p /", str(volume)], check=False,
                          capture_output=True).stdout


def toggle_hangul(vm):
    """Presses the key and waits until the input method's icon in the panel has changed."""
    def icon(image):
        return image.crop((image.width - 300, image.height - 27, image.width - 262,
                           image.height - 1))

    def there(image):
        colours = {c for _, c in icon(image).getcolors(2000)}
        return len(colours) > 20  # a picture; text has fewer

    before = icon(vm.wait_screen(there, 60, "the input method's icon")).tobytes()
    vm.tap("lang1")
    vm.wait_screen(lambda i: there(i) and icon(i).tobytes() != before, 30,
                   "the input method's change")


def test_hangul_by_its_key_and_other_layouts(boot, tmp_path):
    volume = tmp_path / "volume"
    make_volume(volume, owner=0)  # a volume of nobody yet becomes the user's
    vm = boot()
    vm.wait_event("hello")
    wait_rehearsal(vm)  # which ends at once for him, and its X server with it
    assert vm.ask(op="keyboard", keyboard="kr")["ok"]
    log_in(vm, volume)
    vm.type("echo ")
    toggle_hangul(vm)
    vm.type("gksrmf ", step=1)  # as a person does: each key changes the syllable on the screen
    toggle_hangul(vm)
    vm.type("> hangul.txt; echo ")
    # He sits at other seats meanwhile. One has a keyboard that the image does not know.
    assert vm.ask(op="keyboard", keyboard="de(nodeadkeys)")["ok"]
    assert vm.ask(op="keyboard", keyboard="de(nodeadkeys)")["ok"]
    vm.type("zy", step=1)
    for _ in range(2):
        answer = vm.ask(op="keyboard", keyboard="xx")
        assert (answer["ok"], answer["code"]) == (False, "keyboard")
    vm.type("zy", step=1)
    assert vm.ask(op="keyboard", keyboard="fr")["ok"]
    vm.type("aq", step=1)
    assert vm.ask(op="keyboard", keyboard="")["ok"]
    vm.screen(png=tmp_path / "layouts.png")
    vm.type("aq", step=1)
    vm.type(" > layouts.txt; jwm -exit\n")
    vm.wait_event("session-ended", 60)
    assert vm.ask(op="release")["ok"]
    assert file_on_volume(volume, "hangul.txt") == "한글\n"
    assert file_on_volume(volume, "layouts.txt") == "yzzyqaaq\n"


def test_tampered_image_does_not_run(boot, version, tmp_path):
    with open(os.path.join(version, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    root = tmp_path / "root.erofs"
    shutil.copy(os.path.join(version, manifest["files"]["root"]["file"]), root)
    with open(root, "r+b") as file:
        file.seek(100)  # erofs does not look at its first KiB: only the hash tree can tell
        file.write(b"x")
    vm = boot(root=str(root))
    vm.wait_serial("Kernel panic", 90)
    assert not any(m.get("event") == "hello" for _, m in vm.messages)
