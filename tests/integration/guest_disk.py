# SPDX-License-Identifier: GPL-2.0-or-later
"""The disk of a guest that is not ours, for tests: an MBR, SYSLINUX for BIOS and for UEFI on a FAT file
system, Debian's kernel, and a system in its initramfs that runs Debian's QEMU guest agent and the claim
program of images/guests/linux as they are."""

import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile

import virtd_image

TREE = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ["syslinux", "syslinux-common", "syslinux-efi", "mtools", "dosfstools", "qemu-guest-agent"]
MODULES = [*virtd_image.MODULES, "crc16", "mbcache", "jbd2", "crc32c_generic", "ext4"]
PROGRAMS = ["jq", "e2fsck", "flock"]
SECTOR, BEGIN, MIB = 512, 2048, 1 << 20

INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /home
for m in MODULES; do insmod /$m.ko; done
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
port=
while [ -z "$port" ]; do
	for p in /sys/class/virtio-ports/*; do
		[ "$(cat $p/name 2>/dev/null)" = org.qemu.guest_agent.0 ] && port=/dev/${p##*/}
	done
done
while :; do
	qemu-ga -m virtio-serial -p $port -t /run -f /run/qemu-ga.pid
	sleep 1
done
"""

# A session without X: a program of the user's in his home. The user "brief" logs out at once.
SESSION = r"""#!/bin/sh
case $1 in
start)
	su -s /bin/sh "$2" -c 'cd; id -u >hello; [ $USER = brief ] || exec sleep 1000000' >/dev/console 2>&1 </dev/null &
	echo $! >/run/session
	;;
stop) while kill "$(cat /run/session)" 2>/dev/null; do sleep 0.1; done ;;
check) kill -0 "$(cat /run/session)" 2>/dev/null ;;
esac
"""

CONFIG = "DEFAULT linux\nLABEL linux\n KERNEL /vmlinuz\n INITRD /initrd\n APPEND console=ttyS0 quiet panic=-1\n"


def missing():
    """The first tool that this needs and that is not there, or None."""
    for tool in (*PROGRAMS, "qemu-img", "ldd"):
        if not shutil.which(tool, path=f"{os.environ['PATH']}:/sbin:/usr/sbin"):
            return tool
    return virtd_image.missing()


def _tools(cache):
    """Unpacks the packages once; returns their folder."""
    done = cache / "tools"
    if done.is_dir():
        return done
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        os.chmod(folder, 0o755)
        subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=folder, check=True, capture_output=True)
        for deb in pathlib.Path(folder).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", deb, f"{folder}/tree"], check=True)
        os.rename(f"{folder}/tree", done)
    return done


def _add_program(root, program):
    """The program with the libraries that it has here."""
    (root / "usr/sbin").mkdir(parents=True, exist_ok=True)
    shutil.copy(program, root / "usr/sbin" / pathlib.Path(program).name)
    said = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+) \(0x", said):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def _initrd(kernel, tools, target, claim):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        root.chmod(0o755)
        for name in ("bin", "proc", "sys", "dev", "run", "home", "tmp", "etc", "usr/local/lib/carrel"):
            (root / name).mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), root / "bin/busybox")
        _add_program(root, tools / "usr/sbin/qemu-ga")
        for name in PROGRAMS:
            _add_program(root, shutil.which(name, path=f"{os.environ['PATH']}:/sbin:/usr/sbin"))
        for module in MODULES:
            shutil.copy(next(kernel.glob(f"lib/modules/*/kernel/**/{module}.ko*")), root / f"{module}.ko")
        (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\n")
        (root / "etc/os-release").write_text("ID=debian\nNAME=Test\n")
        (root / "sbin").mkdir(exist_ok=True)
        (root / "sbin/shutdown").write_text("#!/bin/sh\npoweroff -f\n")
        (root / "sbin/shutdown").chmod(0o755)
        if claim:
            shutil.copy(TREE / "images/guests/linux/claim", root / "usr/local/lib/carrel/claim")
            (root / "usr/local/lib/carrel/session").write_text(SESSION)
            (root / "usr/local/lib/carrel/session").chmod(0o755)
        (root / "init").write_text(INIT.replace("MODULES", " ".join(MODULES)))
        (root / "init").chmod(0o755)
        files = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
        target.write_bytes(subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=files,
                                          capture_output=True, check=True).stdout)


def build(target, cache, claim=True):
    """Writes the raw disk `target`; `cache` keeps what was downloaded. Without `claim` nobody has
    installed the claim program."""
    cache.mkdir(parents=True, exist_ok=True)
    kernel, tools = virtd_image._kernel(cache), _tools(cache)  # pylint: disable=protected-access
    # mtools' programs are one, found by their names.
    environment = {**os.environ, "PATH": f"{tools}/usr/bin:{tools}/usr/sbin:{tools}/sbin:{os.environ['PATH']}",
                   "MTOOLS_SKIP_CHECK": "1"}

    def run(*words):
        subprocess.run([str(w) for w in words], check=True, env=environment, capture_output=True)

    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        here = pathlib.Path(folder)
        _initrd(kernel, tools, here / "initrd", claim)
        (here / "syslinux.cfg").write_text(CONFIG)
        part = here / "part"
        with open(part, "wb") as file:
            file.truncate(96 * MIB)
        run("mkfs.vfat", "-F", "32", "-h", BEGIN, part)
        run("syslinux", "--install", part)
        run("mmd", "-i", part, "::EFI", "::EFI/BOOT")
        library = tools / "usr/lib"
        for source, name in ((next((kernel / "boot").glob("vmlinuz-*")), "vmlinuz"),
                             (here / "initrd", "initrd"), (here / "syslinux.cfg", "syslinux.cfg"),
                             (library / "SYSLINUX.EFI/efi64/syslinux.efi", "EFI/BOOT/BOOTX64.EFI"),
                             (library / "syslinux/modules/efi64/ldlinux.e64", "EFI/BOOT/ldlinux.e64"),
                             (here / "syslinux.cfg", "EFI/BOOT/syslinux.cfg")):
            run("mcopy", "-i", part, source, f"::{name}")
        code = (library / "syslinux/mbr/mbr.bin").read_bytes()
        sectors = part.stat().st_size // SECTOR
        entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x0c, b"\xfe\xff\xff", BEGIN, sectors)
        with open(target, "wb") as disk, open(part, "rb") as data:
            disk.write(code.ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa")
            disk.seek(BEGIN * SECTOR)
            shutil.copyfileobj(data, disk, MIB)
    target.chmod(0o644)
