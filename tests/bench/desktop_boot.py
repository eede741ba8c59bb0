#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a desktop needs from the start of its VM, for each image version given, in one run under
plain QEMU. JSON on standard output; exit status 1 when a goal is missed.

    hello_s    the agent says that it stands by
    waiting_s  the waiting screen is drawn (looked for from hello on)
    drawn_s    the user's desktop is drawn: the claim follows the waiting screen at once, and the
               last change of the picture before STILL_S without one is what counts
    cpu_s      what QEMU had used of processors when the desktop was drawn
    used_mb, caches_mb, available_mb
               the guest's memory at the drawn desktop: used without caches, the page cache, and what
               programs could still have, as the guest's kernel says it to the balloon
    read_mb    bytes of the root image that the guest has read by then
    ratio      drawn_s of this version by that of the first one given, of the medians

Versions take turns, so that what else the machine does meets all of them. As root: user's volumes
are made with mkfs.ext4 alone, but the images may be root's.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tests", "integration"))

from desktop_vm import Desktop, Timeout, make_volume  # noqa: E402
from PIL import ImageChops  # noqa: E402

UID, SERIAL = 20001, "vol-bench"
WAITING = (0x20, 0x30, 0x40)
STILL_S = 20
PATIENCE_S = 300
# Of a name's versions, in seconds: what a user may have to wait under emulation on two cores.
GOALS = {"desktop-lite": {"waiting_s": 15, "drawn_s": 25}, "desktop-full": {"drawn_s": 60}}


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def changed(one, other):
    """Is more different than a clock's hand or a cursor?"""
    box = one.size == other.size and ImageChops.difference(one, other).getbbox()
    return one.size != other.size or bool(box and (box[2] - box[0]) * (box[3] - box[1]) > 2000)


def is_waiting(image):
    """At the right edge: the toolbar of an input method, at the left, comes before the session."""
    return image.getpixel((image.width - 5, image.height // 2)) == WAITING


def wait_still(vm):
    """When the picture last changed, once it is still and no more the waiting screen, and the
    processors' seconds until then."""
    last, at, cpu = vm.screen(), vm.now(), vm.cpu_seconds()

    def still(image):
        nonlocal last, at, cpu
        if changed(image, last):
            last, at, cpu = image, vm.now(), vm.cpu_seconds()
        return vm.now() - at > STILL_S and not is_waiting(image)

    image = vm.wait_screen(still, PATIENCE_S, "a picture that is still")
    return at, cpu, image


def memory_mb(vm):
    said = {name: size / 1e6 for name, size in vm.memory().items()}
    free, caches = said["stat-free-memory"], said["stat-disk-caches"]
    return {"used_mb": said["stat-total-memory"] - free - caches, "caches_mb": caches,
            "available_mb": said["stat-available-memory"]}


def one_boot(version, memory_mib, picture):
    with tempfile.TemporaryDirectory(prefix="carrel-bench-", dir="/var/tmp") as work:
        volume = os.path.join(work, "volume")
        make_volume(volume, UID)
        vm = Desktop(version, work, memory_mib=memory_mib)
        try:
            vm.wait_event("hello")
            hello = vm.now()
            vm.wait_screen(is_waiting, 60, "the waiting screen")
            waiting = vm.now()
            vm.plug(volume, SERIAL)
            answer = vm.claim("bench", UID, SERIAL)
            if not answer["ok"]:
                raise Timeout(f"the claim was refused: {answer}")
            drawn, cpu, image = wait_still(vm)
            memory, read = memory_mb(vm), vm.root_read() / 1e6
            if picture:
                image.save(picture)
        finally:
            vm.close()
    return {"hello_s": hello, "waiting_s": waiting, "drawn_s": drawn, "cpu_s": cpu, **memory,
            "read_mb": read}


def median(runs, key):
    return round(statistics.median(run[key] for run in runs), 1)


def in_turns(versions, count, memory_mib, pictures=None):
    """Boots each of the folders so many times, in turns: the runs of each, in their order."""
    runs = [[] for _ in versions]
    for number in range(count):
        for index, version in enumerate(versions):
            picture = pictures and os.path.join(pictures, f"{index}.png")
            runs[index].append(one_boot(version, memory_mib, picture))
            say(f"run {number + 1} of {version}: {runs[index][-1]}")
    return runs


def medians(runs, first):
    """The medians of a version's runs, and drawn_s by that of the runs it is compared with."""
    result = {key: median(runs, key) for key in runs[0]}
    return result | {"ratio": round(result["drawn_s"] / median(first, "drawn_s"), 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", metavar="FOLDER", help="folders of image versions; "
                        "default: the current desktop-lite of build/images")
    parser.add_argument("--runs", type=int, default=3, help="of each version (3)")
    parser.add_argument("--memory", type=int, default=1024, metavar="MiB", help="of the VM (1024)")
    parser.add_argument("--pictures", metavar="DIR", help="keep each version's last picture there")
    given = parser.parse_args()
    versions = [os.path.realpath(v) for v in
                given.versions or [os.path.join(TOP, "build/images/desktop-lite/current")]]
    runs = in_turns(versions, given.runs, given.memory, given.pictures)
    results, missed = [], []
    for version, its in zip(versions, runs):
        with open(os.path.join(version, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        result = {"version": f"{manifest['name']}@{manifest['version']}", "folder": version,
                  "root_bytes": manifest["files"]["root"]["size"], "runs": its,
                  **medians(its, runs[0])}
        missed += [f"{result['version']}: {key} {result[key]} s, goal {goal} s"
                   for key, goal in GOALS.get(manifest["name"], {}).items() if result[key] > goal]
        results.append(result)
    json.dump({"memory_mib": given.memory, "versions": results, "missed": missed}, sys.stdout,
              indent=1)
    print()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
