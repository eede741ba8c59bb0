# SPDX-License-Identifier: GPL-2.0-or-later
"""LTSP and Debian live beside Carrel: what they serve, made of Debian's packages (peers/), and the
lab's boot server serving it.

dnsmasq, nginx and NFS-Ganesha run as carrel-bootconf has set them up for Carrel, with what differs
for the peer put in the place of Carrel's own. A peer's PC gets its iPXE script, kernel and initramfs
by HTTP, and its root by NFS 3, which Debian's initramfs mounts; that is what rpcbind is there for.
"""

import hashlib
import os
import shutil
import subprocess

from carrel_lab import LabError
from carrel_lab.boot import READY
from carrel_lab.errors import wait_until
from carrel_lab.net import BOOT_SERVER, listens
from carrel_lab.versions import share_file

HERE = os.path.dirname(os.path.abspath(__file__))
RECIPES = os.path.join(HERE, "peers")
TOOLS = {"mmdebstrap": "mmdebstrap", "mksquashfs": "squashfs-tools", "rpcbind": "rpcbind",
         "nsenter": "util-linux"}
SCRIPT = {"ltsp": "ltsp/ltsp.ipxe", "live": "live/boot.ipxe"}
RPCBIND_PORT = 111


def lacks():
    return [package for tool, package in TOOLS.items() if not shutil.which(tool)]


def recipe_hash():
    digest = hashlib.sha256()
    for name in sorted(os.listdir(RECIPES)):
        with open(os.path.join(RECIPES, name), "rb") as f:
            digest.update(name.encode() + b"\0" + f.read())
    return digest.hexdigest()


def build(name, folder, say):
    """What `name` serves, in folder/name; made anew when its recipe has changed."""
    made, stamp = os.path.join(folder, name), os.path.join(folder, name + ".recipe")
    recipe = recipe_hash()
    if os.path.exists(stamp):
        with open(stamp, encoding="ascii") as f:
            if f.read() == recipe:
                return made
        os.unlink(stamp)
    os.makedirs(folder, exist_ok=True)
    log = os.path.join(folder, name + ".log")
    say(f"making {name} of Debian's packages, for some minutes; see {log}")
    with open(log, "w", encoding="utf-8") as out:
        done = subprocess.run([os.path.join(RECIPES, "build"), name, made], stdin=subprocess.DEVNULL,
                              stdout=out, stderr=out, check=False)
    if done.returncode:
        raise LabError(f"{name} could not be made: exit status {done.returncode}; see {log}")
    with open(stamp, "w", encoding="ascii") as f:
        f.write(recipe)
    return made


def sizes(made):
    """{file: bytes} of what is served."""
    return {os.path.relpath(os.path.join(folder, file), made):
            os.path.getsize(os.path.join(folder, file))
            for folder, _, files in os.walk(made) for file in files}


def replaced(text, *pairs):
    for old, new in pairs:
        if old not in text:
            raise LabError(f"carrel-bootconf no longer writes {old!r}; the bench must follow")
        text = text.replace(old, new)
    return text


class Peer:
    """One of them on the lab's boot server."""

    def __init__(self, lab, name, made):
        self.lab, self.name = lab, name
        self.folder = lab.path("peers", name)
        self.made = made

    def install(self):
        """Its files, and the daemons' configuration, in the lab's folder."""
        shutil.copytree(self.made, self.folder, copy_function=share_file)
        boot = self.lab.path("state", "boot")
        for name, pairs in {
                "dnsmasq.conf": [("dhcp-boot=tag:bios,lpxelinux.0", "dhcp-boot=tag:bios,"
                                  f"http://{BOOT_SERVER}/{SCRIPT[self.name]}")],
                "nginx.conf": [(f"root {boot}/http;", f"root {self.folder}/http;"),
                               ("^/(boot|images)/[^.]", f"^/{self.name}/[^.]")],
                "ganesha.conf": [("Protocols = 4;", "Protocols = 3, 4;"),
                                 (f"Path = {boot}/http/images;", f"Path = {self.folder}/nfs;"),
                                 ("Pseudo = /client;", f"Pseudo = /srv/{self.name};")]}.items():
            with open(os.path.join(boot, "current", name), encoding="utf-8") as f:
                text = replaced(f.read(), *pairs)
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
                f.write(text)

    def argv(self, words):
        """A daemon's command line, with the peer's configuration."""
        current = os.path.join(self.lab.path("state", "boot"), "current") + "/"
        return [word.replace(current, self.folder + "/") for word in words]


class Server:
    """The boot server's three daemons, for whom they are wanted."""

    def __init__(self, lab):
        self.lab, self.rpcbind = lab, None

    def start_rpcbind(self):
        # Where it listens for those of its machine is a name in /run, the machine's own.
        script = "mount -t tmpfs run /run && exec rpcbind -f"
        self.rpcbind = self.lab.boot.start("rpcbind", ["sh", "-c", script],
                                           lambda p: listens(p.pid, RPCBIND_PORT))

    def serve(self, peer=None):
        """`peer`: None for Carrel."""
        for name, words in self.lab.boot.commands():
            if name.startswith("setup-"):
                continue
            self.lab.end(name)
            argv = peer.argv(words) if peer else words
            if peer and name == "nfs":
                argv = ["nsenter", "--mount", "--target", str(self.rpcbind.pid), "--", *argv]
            self.lab.boot.start(name, argv, READY[name])
            if peer and name == "nfs":
                wait_until(self._has_mountd, 20, "NFS-Ganesha says to rpcbind that it mounts")

    def _has_mountd(self):
        out = self.lab.run_in("boot", "rpcinfo", "-p", "127.0.0.1", check=False).stdout
        return "100005" in out and "100003" in out
