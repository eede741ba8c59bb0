# SPDX-License-Identifier: GPL-2.0-or-later
"""A desktop image for the tests of carrel-virtd that boots in a few seconds of emulation: Debian's own
kernel, an initramfs of busybox and six modules, and an init that stands in for the agent."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import signing

NAME, VERSION = "tiny", "20260101.1"
IMAGE = f"{NAME}@{VERSION}"
MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
           "virtio_blk", "virtio_console", "virtio_balloon"]

# Answers hello as the agent does; "disks" lists the serials of the virtio disks; "say" has it send one
# raw line, as a guest gone wrong would; "flood" sends a line that is too long; "eat" and "spit" have
# the guest use so many MiB of its memory, and none; "memory" says how much it has.
INIT = r"""#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in MODULES; do insmod /$m.ko; done
mkdir /eaten; mount -t tmpfs -o size=100% tmpfs /eaten
port=
while [ -z "$port" ]; do
	for p in /sys/class/virtio-ports/*; do
		[ "$(cat $p/name 2>/dev/null)" = org.carrel.agent.0 ] && port=/dev/${p##*/}
	done
done
exec 3<>$port
hello='{"event":"hello","agent":"test","image":"IMAGE","state":"standby","user":""}'
echo "$hello" >&3
while :; do
	IFS= read -r line <&3 || { usleep 100000; continue; }
	case $line in
	*'"op":"hello"'*) echo "$hello" >&3 ;;
	*'"op":"disks"'*)
		serials=
		for s in /sys/block/vd*/serial; do serials="$serials\"$(cat $s)\","; done
		echo "{\"event\":\"disks\",\"serials\":[${serials%,}]}" >&3 ;;
	*'"op":"fill"'*) dd if=/dev/zero of=/dev/vdb bs=1k count=1 seek=1 conv=notrunc 2>/dev/null ;;
	*'"op":"eat"'*)
		mib=${line##*'"mib":'}
		dd if=/dev/zero of=/eaten/all bs=1M count=${mib%%[!0-9]*} 2>/dev/null
		echo '{"event":"eaten"}' >&3 ;;
	*'"op":"memory"'*)
		read -r _ kib _ </proc/meminfo; echo "{\"event\":\"memory\",\"total_mib\":$((kib / 1024))}" >&3 ;;
	*'"op":"spit"'*) rm -f /eaten/all; echo '{"event":"spat"}' >&3 ;;
	*'"op":"say"'*) echo 'this is not JSON' >&3; echo '{"event":"said"}' >&3 ;;
	*'"op":"flood"'*) dd if=/dev/zero bs=1k count=64 2>/dev/null | tr '\0' x >&3; echo >&3
		echo '{"event":"flooded"}' >&3 ;;
	*'"op":"off"'*) poweroff -f ;;
	*'"op":"crash"'*) echo c >/proc/sysrq-trigger ;;
	esac
done
"""


def missing():
    """The first tool that this needs and that is not there, or None."""
    for tool in ("apt-get", "dpkg-deb", "cpio", "busybox", "depmod"):
        if not shutil.which(tool) and not os.path.exists(f"/sbin/{tool}"):
            return tool
    return None


def _kernel(cache):
    """Unpacks Debian's kernel package once; returns its folder."""
    done = cache / "kernel"
    if (done / "boot").is_dir():
        return done
    depends = subprocess.run(["apt-cache", "depends", "--important", "linux-image-amd64"], check=True,
                             capture_output=True, text=True).stdout
    package = re.search(r"Depends: (linux-image-\S+)", depends).group(1)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        os.chmod(folder, 0o755)
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True,
                       capture_output=True)
        deb = next(pathlib.Path(folder).glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", deb, f"{folder}/tree"], check=True)
        os.rename(f"{folder}/tree", done)
    return done


def _initrd(kernel, target):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in ("bin", "proc", "sys", "dev"):
            (root / name).mkdir()
        shutil.copy(shutil.which("busybox"), root / "bin/busybox")
        for applet in ("sh", "mount", "insmod", "cat", "echo", "dd", "tr", "usleep", "poweroff",
                       "mkdir", "rm"):
            os.symlink("busybox", root / "bin" / applet)
        for module in MODULES:
            found = next(kernel.glob(f"lib/modules/*/kernel/**/{module}.ko*"))
            shutil.copy(found, root / f"{module}.ko")
        init = root / "init"
        init.write_text(INIT.replace("MODULES", " ".join(MODULES)).replace("IMAGE", IMAGE))
        init.chmod(0o755)
        files = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
        archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=files,
                                 capture_output=True, check=True).stdout
        target.write_bytes(archive)


def build(images, cache, pki, handoff="live"):
    """Writes images/tiny/VERSION/, signed with the key in `pki`; returns "name@version"."""
    cache.mkdir(parents=True, exist_ok=True)
    kernel = _kernel(cache)
    folder = images / NAME / VERSION
    folder.mkdir(parents=True)
    shutil.copy(next((kernel / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
    _initrd(kernel, folder / "initrd")
    # Nobody mounts it here; its bytes are told apart by what they are.
    (folder / "root.img").write_bytes(b"root" * (1 << 20))
    files = {}
    for key, name in (("kernel", "vmlinuz"), ("initrd", "initrd"), ("root", "root.img")):
        data = (folder / name).read_bytes()
        files[key] = {"file": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {"name": NAME, "version": VERSION, "kind": "desktop", "inputs": "0" * 64,
                "files": files, "cmdline": "console=ttyS0 quiet panic=-1", "handoff": handoff,
                "root": {"format": "erofs", "data_blocks": 1000, "block_size": 4096,
                         "root_hash": "ab" * 32, "salt": "cd" * 32}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    signing.sign(folder, pki)
    return IMAGE
