# SPDX-License-Identifier: GPL-2.0-or-later
"""A site for the tests of carrel-bootconf: its configuration, its keys, and images of a few bytes."""
import hashlib
import json
import os
import shutil
import subprocess

import signing

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
PROGRAM = os.path.join(ROOT, "build/out/carrel-bootconf")
EFI_STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"


def missing():
    """What the tests lack on this machine, or ""."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    lacks = [n for n in ("dnsmasq", "nginx", "objcopy", "sbsign", "sbverify", "certtool")
             if not shutil.which(n, path=path)]
    if not os.path.exists("/usr/lib/PXELINUX/lpxelinux.0"):
        lacks.append("pxelinux")
    if not os.path.exists(EFI_STUB):
        lacks.append("systemd-boot-efi")
    return ", ".join(lacks)


def make_client(images, pki, version, *more):
    """Publishes an image of PCs whose files, and those of `more`, are a few bytes: bootconf looks at sums, not
    at kernels."""
    folder = os.path.join(images, "client", version)
    os.makedirs(folder)
    files = {}
    for name, size in (("kernel", 5000), ("initrd", 3000), ("root", 8192), *((name, 700) for name in more)):
        data = (version + name).encode().ljust(size, b".")
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
        files[name] = {"file": name, "size": size, "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {"name": "client", "version": version, "kind": "client", "inputs": "x",
                "files": files, "cmdline": "quiet",
                "root": {"format": "squashfs", "data_blocks": 1, "block_size": 4096,
                         "root_hash": "ab" * 32, "salt": "cd"}}
    with open(os.path.join(folder, "manifest.json"), "w") as f:
        json.dump(manifest, f)
    signing.sign(folder, pki)
    link = os.path.join(images, "client/current")
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(version, link)


class Site:
    def __init__(self, folder):
        self.dir = folder
        self.conf = {"network": {"client_interface": "lan0", "client_address": "10.77.0.1/24"}, "boot": {"nfs": "off"},
                     "paths": {"state": self.path("state"), "run": self.path("run"),
                               "images": self.path("images"), "pki": self.path("pki")}}
        self.publish()
        self.write()

    def publish(self):
        """The first image, and the key that it is signed with."""
        signing.make_keys(self.path("pki"))
        self.image("20260301.1")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self):
        with open(self.path("carrel.conf"), "w") as f:
            for group, keys in self.conf.items():
                f.write("[%s]\n" % group + "".join("%s=%s\n" % k for k in keys.items()))

    def image(self, version, *more):
        make_client(self.path("images"), self.path("pki"), version, *more)

    def run(self, *options, status=0, env=None):
        done = subprocess.run([PROGRAM, "-c", self.path("carrel.conf"), "--templates",
                               os.path.join(ROOT, "bootserver/templates"), *options],
                              capture_output=True, text=True, env=env)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    def current(self):
        return os.readlink(self.path("state/boot/current"))

    def menu(self):
        return open(self.path("state/boot/current/tftp/pxelinux.cfg/default")).read()
