# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's keys and its virtualization servers, made by the same scripts as real ones:
scripts/carrel-pki, and tests/lab/lab-server, which wraps scripts/prepare-server."""

import grp
import os
import pwd
import re
import shutil

from .errors import LabError, wait_until
from .net import BOOT_SERVER, SERVER_NET, run
from .sampler import desktop_of
from .state import children, process_seconds, process_stat


class Servers:
    def __init__(self, lab):
        self.lab = lab

    def keys(self):
        """The lab's keys: the CA that the client image knows, and a certificate for each server."""
        built = os.path.join(self.lab.source, "build", "pki")
        if not os.path.exists(os.path.join(built, "ca.key")):
            raise LabError(f"{built}/ca.key is missing; the client image must know the lab's CA; "
                           f"remedy: make images")
        shutil.copytree(built, self.lab.path("pki"))
        group = grp.getgrgid(pwd.getpwnam(self.lab.conf["broker"]["user"]).pw_gid).gr_name
        pki = [self.lab.script("scripts", "carrel-pki"), "--dir", self.lab.path("pki"),
               "--config", self.lab.conf_file, "--group", group]
        run(*pki, "init", "--address", BOOT_SERVER)
        for key in ("server.key", "libvirt/clientkey.pem"):
            shutil.chown(self.lab.path("pki", key), group=group)
        for name in self.names():
            run(*pki, "server", name, self.address(name))

    def names(self):
        return [f"s{i}" for i in range(1, self.lab.servers_wanted + 1)]

    def address(self, name):
        return self.lab.net.server_address(int(name[1:]))

    def uri(self, name):
        return f"qemu+tls://{self.address(name)}/system?pkipath={self.lab.path('pki', 'libvirt')}"

    def _script(self, *words):
        result = run(self.lab.script("tests", "lab", "lab-server"), *words, check=False,
                     env=self.lab.state.environment())
        with open(self.lab.path("log", "lab-server.log"), "a", encoding="utf-8") as log:
            log.write(f"$ lab-server {' '.join(words)}\n{result.stdout}{result.stderr}")
        if result.returncode:
            raise LabError(f"lab-server {' '.join(words)}: exit status {result.returncode}: "
                           f"{result.stderr.strip() or result.stdout.strip()}")
        return result.stdout

    def up_one(self, name):
        directory = self.lab.path(name)
        self.lab.state.append(kind="server", name=name, directory=directory)
        self._script("up", directory, self.lab.net.ns(name), name, self.address(name),
                     f"{SERVER_NET}.1", self.lab.path("pki"),
                     self.lab.path("volumes"),
                     *([str(self.lab.capacity_mib)] if self.lab.capacity_mib else []))

    def up(self):
        for name in self.names():
            self.up_one(name)

    def register(self):
        for name in self.names():
            self.lab.admin.carrel("server", "add", name, self.uri(name))

    def wait_up(self, name, seconds):
        """Waits until the broker has the server with its image in place."""
        def ready():
            return [s for s in self.lab.admin.servers() if s["name"] == name and s["state"] == "up"]

        return wait_until(ready, seconds, lambda: f"server {name} is up; the broker says "
                          f"{self.lab.admin.servers()}", step=0.5)

    def crash(self, name):
        """Power cut of a server: its libvirtd and all its desktops die at once."""
        self._script("crash", self.lab.path(name))

    def power_on(self, name):
        """Brings a crashed server up again, as it was before but for its desktops."""
        self.up_one(name)

    def is_on(self, name):
        return self.first_process(name) is not None

    def first_process(self, name):
        """The id of a server's first process, or None when it is off."""
        try:
            with open(self.lab.path(name, "pid"), encoding="ascii") as f:
                pid, start = (int(word) for word in f.read().split())
        except (OSError, ValueError):
            return None
        stat = process_stat(pid)
        return pid if stat and stat[1] == start and stat[0] not in "ZX" else None

    def processes(self, name):
        """{id: words} of what the server's first process has as children: daemons, desktops."""
        return children(self.first_process(name))

    def libvirtd(self, name):
        """The id of a server's libvirtd."""
        for pid, words in self.processes(name).items():
            if os.path.basename(words[0]) == "libvirtd":
                return pid
        raise LabError(f"no libvirtd runs on {name}")

    def start_libvirtd(self, name):
        """Starts it again after it was killed; desktops run on meanwhile."""
        self._script("libvirtd", self.lab.path(name))

    def desktops(self):
        """{id: (server, MiB)} of all desktops, as libvirt has them now."""
        found = {}
        for name in self.names():
            if not self.is_on(name):
                continue
            text = self.virsh(name, "domstats", "--balloon", "--list-active")
            for part in text.split("Domain: ")[1:]:
                desktop = re.match(r"'carrel-d(\d+)'", part)
                size = re.search(r"balloon\.current=(\d+)", part)
                if desktop and size:
                    found[int(desktop[1])] = (name, int(size[1]) // 1024)
        return found

    def desktop_seconds(self):
        """Seconds of processor time that the desktops' QEMUs have used so far."""
        return sum(process_seconds(pid) for name in self.names() if self.is_on(name)
                   for pid, words in self.processes(name).items() if desktop_of(words))

    def virsh(self, name, *words):
        """Runs virsh on the server itself."""
        return self._script("exec", self.lab.path(name), "virsh", "-q", *words)

    def end_desktop(self, desktop):
        """The VM of a desktop (as the admin API gives it) dies, behind the broker's back."""
        self.virsh(desktop["server"], "destroy", f"carrel-d{desktop['id']}")

    def volume_file(self, user):
        """The file of a user's volume, on the storage that the servers share."""
        row = self.lab.admin.rows("SELECT id, copy FROM volume WHERE user = ?", user)
        if not row:
            raise LabError(f"{user} has no volume yet")
        number, copy = row[0]
        return self.lab.path("volumes", f"home-{number}.{copy}" if copy else f"home-{number}")

    def down(self):
        if not self.lab.state.same_boot():
            return
        # A killed `up` may have left its lab-server at work; it would go on making things.
        for process in self.lab.state.marked():
            if "lab-server" in process.command():
                process.kill()
        for name, entry in reversed(list(self.lab.state.names("server").items())):
            if os.path.isdir(entry["directory"]):
                self._script("down", entry["directory"])
            self.lab.state.forget("server", name)
