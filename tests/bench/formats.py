#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which file system the root image should have: the tree of one desktop image in each of FORMATS,
booted in turns under plain QEMU (desktop_boot.py says what is measured), and the tree of the PCs'
image, for its size alone. JSON on standard output.

    mb         the file system, without the hash tree of dm-verity
    build_s, build_cpu_s
               what making it took
    unpack_cpu_s
               user time of unpacking all of it here, without emulation, whatever else the machine does
    ratio      drawn_s of this format by that of the first one, of the medians

A format differs from the next one in root file system, initramfs and nothing else: the initramfs is
the version's own, with the module of the other file system and an init that mounts it. Needs root.
"""

import argparse
import contextlib
import filecmp
import glob
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from desktop_boot import TOP, in_turns, medians, say

BLOCK = 4096
# The first one is what desktop-lite has; squashfs-zstd19-256k is what the PCs have.
FORMATS = {
    "erofs-lz4hc9-4k": ["-zlz4hc,9"],
    "erofs-lz4hc12-64k": ["-zlz4hc,12", "-C65536"],
    "squashfs-lz4hc-128k": ["-comp", "lz4", "-Xhc", "-b", "128K"],
    "squashfs-zstd15-64k": ["-comp", "zstd", "-Xcompression-level", "15", "-b", "64K"],
    "squashfs-zstd19-256k": ["-comp", "zstd", "-Xcompression-level", "19", "-b", "256K"],
    "squashfs-xz-256k": ["-comp", "xz", "-b", "256K"],
}


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True,
                          **options).stdout


def manifest_of(version):
    with open(os.path.join(version, "manifest.json"), encoding="utf-8") as file:
        return json.load(file)


@contextlib.contextmanager
def tree_of(version, work):
    """The files of a version's root, copied so that reading the image costs no format anything."""
    manifest = manifest_of(version)
    with tempfile.TemporaryDirectory(prefix="tree-", dir=work) as folder:
        mounted, tree = os.path.join(folder, "mounted"), os.path.join(folder, "tree")
        os.mkdir(mounted)
        run("mount", "-t", manifest["root"]["format"], "-o", "loop,ro",
            os.path.join(version, manifest["files"]["root"]["file"]), mounted)
        try:
            run("cp", "-a", mounted, tree)
        finally:
            run("umount", mounted)
        yield tree


def user_s(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run(*command, stderr=subprocess.DEVNULL)
    return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, 2)


def unpack_s(name, path):
    if name.startswith("erofs"):
        return user_s("fsck.erofs", "--extract", path)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
        return user_s("unsquashfs", "-no-progress", "-p", "1", "-d", f"{folder}/tree", path)


def make_root(name, tree, path):
    """The file system at `path`, a whole number of blocks: what it weighs and what it took."""
    if name.startswith("erofs"):
        command = ["mkfs.erofs", *FORMATS[name], "-T", "0", path, tree]
    else:
        command = ["mksquashfs", tree, path, *FORMATS[name], "-noappend", "-mkfs-time", "0",
                   "-all-time", "0", "-no-progress", "-quiet"]
    os.sync()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run(*command, stderr=subprocess.DEVNULL)
    took, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    os.truncate(path, -(-os.path.getsize(path) // BLOCK) * BLOCK)
    return {"format": name, "mb": round(os.path.getsize(path) / 1e6, 1), "build_s": round(took, 1),
            "build_cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)}


def kernel_of(version):
    """The folder in build/cache that the version's kernel was unpacked in, for its modules."""
    kernel = os.path.join(version, manifest_of(version)["files"]["kernel"]["file"])
    for folder in glob.glob(os.path.join(TOP, "build/cache/kernel-*")):
        if os.path.exists(f"{folder}/vmlinux") and filecmp.cmp(f"{folder}/vmlinux", kernel, False):
            return folder
    sys.exit(f"formats: no folder build/cache/kernel-* has the kernel of {version}: build the image "
             "with --cache build/cache")


def squashfs_initrd(version, init, path):
    """The version's initramfs, with squashfs where erofs was."""
    kernel = kernel_of(version)
    said = run("modprobe", "-d", kernel, "-S", os.listdir(f"{kernel}/lib/modules")[0],
               "--show-depends", "squashfs")
    modules = [line.split()[1] for line in said.splitlines() if line.startswith("insmod")]
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as tree:
        with open(os.path.join(version, manifest_of(version)["files"]["initrd"]["file"]), "rb") as file:
            run("cpio", "-i", "-d", "--quiet", stdin=file, cwd=tree)
        with open(f"{tree}/modules/list", encoding="utf-8") as file:
            names = file.read().split()
        os.remove(f"{tree}/modules/erofs.ko")
        own = [os.path.basename(m) for m in modules]
        at = names.index("erofs.ko")
        names[at:at + 1] = [name for name in own if name not in names]
        for module in modules:
            shutil.copy(module, f"{tree}/modules")
        with open(f"{tree}/modules/list", "w", encoding="utf-8") as file:
            file.write("\n".join(names) + "\n")
        shutil.copy(init, f"{tree}/init")
        run("strip", f"{tree}/init")
        run("sh", "-c", 'find . -mindepth 1 | sort | cpio --quiet -o -H newc -R 0:0 >"$1"', "sh", path,
            cwd=tree)


def make_version(root, version, initrd):
    """Makes `root` that of a version's folder of its own beside it, ready to boot."""
    manifest = manifest_of(version)
    for name, file in manifest["files"].items():
        file["file"] = os.path.join(version, file["file"])
    blocks = os.path.getsize(root) // BLOCK
    salt = manifest["root"]["salt"]
    said = run("veritysetup", "format", "--no-superblock", "--hash=sha256",
               f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}", f"--data-blocks={blocks}",
               f"--hash-offset={blocks * BLOCK}", f"--salt={salt}", root, root)
    root_hash = next(line.split()[-1] for line in said.splitlines() if line.startswith("Root hash"))
    manifest["root"] |= {"data_blocks": blocks, "root_hash": root_hash}
    manifest["files"]["root"] = {"file": root, "size": os.path.getsize(root)}
    if initrd:
        manifest["files"]["initrd"]["file"] = initrd
    folder = f"{root}.version"
    os.mkdir(folder)
    with open(f"{folder}/manifest.json", "w", encoding="utf-8") as file:
        json.dump(manifest, file)
    return folder


def sizes(version, work, keep):
    """Each format of the version's tree; `keep` is given its name and file before that is removed."""
    results = []
    with tree_of(version, work) as tree:
        for name in FORMATS:
            path = os.path.join(work, name)
            results.append(make_root(name, tree, path) | {"unpack_cpu_s": unpack_s(name, path)})
            say(f"{os.path.basename(os.path.dirname(version))}: {results[-1]}")
            keep(name, path)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?", metavar="FOLDER", help="of the desktop's image version; "
                        "default: the current desktop-lite of build/images",
                        default=os.path.join(TOP, "build/images/desktop-lite/current"))
    parser.add_argument("--client", metavar="FOLDER", help="of the PCs' image version; default: the "
                        "current one of build/images",
                        default=os.path.join(TOP, "build/images/client/current"))
    parser.add_argument("--init", required=True, metavar="FILE", help="an init that mounts squashfs")
    parser.add_argument("--runs", type=int, default=3, help="boots of each format (3)")
    parser.add_argument("--memory", type=int, default=1024, metavar="MiB", help="of the VM (1024)")
    given = parser.parse_args()
    version, client = os.path.realpath(given.version), os.path.realpath(given.client)
    if os.getuid() != 0:
        sys.exit("formats: mounting images needs root")
    with tempfile.TemporaryDirectory(prefix="carrel-formats-", dir="/var/tmp") as work:
        initrd, folders = os.path.join(work, "initrd"), []
        squashfs_initrd(version, given.init, initrd)
        of_client = sizes(client, work, lambda name, path: os.remove(path))
        desktop = sizes(version, work, lambda name, path: folders.append(
            make_version(path, version, initrd if name.startswith("squashfs") else None)))
        runs = in_turns(folders, given.runs, given.memory)
    for result, its in zip(desktop, runs):
        result |= medians(its, runs[0]) | {"runs": its}
    json.dump({"desktop": version, "memory_mib": given.memory, "formats": desktop, "client": client,
               "client_formats": of_client}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
