# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs and files the lab needs, and the Debian packages that hold them."""

import glob
import shutil

from .errors import LabError

PROGRAMS = {
    "ip": "iproute2",
    "sysctl": "procps",
    "dnsmasq": "dnsmasq-base",
    "nginx": "nginx-light",
    "ganesha.nfsd": "nfs-ganesha",
    "qemu-system-x86_64": "qemu-system-x86",
    "libvirtd": "libvirt-daemon",
    "virsh": "libvirt-clients",
    "certtool": "gnutls-bin",
    "objcopy": "binutils",
    "nft": "nftables",
    "setpriv": "util-linux",
    "tcpdump": "tcpdump",
    "tesseract": "tesseract-ocr",
}

FILES = {
    "/usr/lib/PXELINUX/lpxelinux.0": "pxelinux",
    "/usr/lib/systemd/boot/efi/linuxx64.efi.stub": "systemd-boot-efi",
    "/usr/lib/ipxe/qemu/*.rom": "ipxe-qemu",
    "/usr/lib/x86_64-linux-gnu/ganesha/libfsalvfs.so": "nfs-ganesha-vfs",
    "/usr/share/tesseract-ocr/*/tessdata/kor.traineddata": "tesseract-ocr-kor",
}

MODULES = {"PIL": "python3-pil", "numpy": "python3-numpy"}


def missing():
    """[(what, package)] that this machine lacks."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    lacks = [(p, pkg) for p, pkg in PROGRAMS.items() if not shutil.which(p, path=path)]
    lacks += [(f, pkg) for f, pkg in FILES.items() if not glob.glob(f)]
    for module, package in MODULES.items():
        try:
            __import__(module)
        except ImportError:
            lacks.append((f"Python module {module}", package))
    return lacks


def check():
    lacks = missing()
    if lacks:
        what = ", ".join(f"{w} (package {p})" for w, p in lacks)
        packages = " ".join(sorted({p for _, p in lacks}))
        raise LabError(f"this machine lacks {what}; remedy: apt-get install {packages}")
