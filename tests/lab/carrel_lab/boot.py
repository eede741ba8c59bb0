# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot server: its daemons, each in the foreground inside namespace cl-NAME-boot."""

import grp
import json
import os
import pwd
import shlex
import socket

from .errors import LabError, wait_until
from .net import listens, run

HTTP_PORT, BROKER_PORT, REPORT_PORT, NFS_PORT, TFTP_PORT = 80, 7443, 7480, 2049, 69

READY = {"dnsmasq": lambda p: listens(p.pid, TFTP_PORT, "udp"),
         "nginx": lambda p: listens(p.pid, HTTP_PORT),
         "nfs": lambda p: listens(p.pid, NFS_PORT)}

# The helper gives up the rest itself; here the kernel never gave it more.
NETD_ONLY = ["setpriv", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all,+net_admin"]
BROKER_USER_ONLY = ["setpriv", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
                    "--no-new-privs"]


class BootServer:
    def __init__(self, lab):
        self.lab = lab

    @property
    def lease_file(self):
        return self.lab.path("state", "boot", "dnsmasq.leases")

    def ns(self):
        return self.lab.net.ns("boot")

    def user(self):
        entry = pwd.getpwnam(self.lab.conf["broker"]["user"])
        return entry, grp.getgrgid(entry.pw_gid).gr_name

    def bootconf(self, *words, check=True):
        return run(self.lab.path("bin", "carrel-bootconf"), "--config", self.lab.conf_file,
                   "--templates", self.lab.script("bootserver", "templates"), *words,
                   netns=self.ns(), check=check)

    def render(self):
        """Makes, checks and puts in use what dnsmasq, PXELINUX, nginx and NFS need."""
        return self.bootconf()

    def commands(self):
        """[(name, argv)] as carrel-bootconf says them, in its order."""
        lines = self.bootconf("--commands").stdout.splitlines()
        return [(name, shlex.split(words)) for name, words in
                (line.split("\t", 1) for line in lines)]

    def root_image(self):
        """The client's root image, as HTTP and NFS serve it."""
        folder = os.path.join(self.lab.path("state", "boot", "http", "images"))
        with open(self.lab.path("images", "client", "current", "manifest.json"),
                  encoding="utf-8") as f:
            manifest = json.load(f)
        wanted = manifest["files"]["root"]["size"]
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if manifest["version"] in name and os.path.getsize(path) == wanted:
                return path
        raise LabError(f"{folder} holds no root image of {manifest['version']}")

    def spawn(self, name, argv):
        # Two labs' NFS servers would ask the machine's message bus for the same name.
        env = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.lab.path('no-bus')}"}
        return self.lab.state.spawn(name, ["ip", "netns", "exec", self.ns(), *argv],
                                    self.lab.path("log", f"{name}.log"), env=env)

    def log(self, name):
        try:
            with open(self.lab.path("log", f"{name}.log"), encoding="utf-8",
                      errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait(self, name, process, ready, seconds=15):
        """Waits until `ready()`; an ended process is an error with the end of its log."""
        def condition():
            if not process.alive():
                tail = "\n".join(self.log(name).splitlines()[-15:])
                raise LabError(f"{name} ended at once; its log "
                               f"({self.lab.path('log', name + '.log')}) ends:\n{tail}")
            return ready()

        wait_until(condition, seconds, f"{name} is ready; see "
                   f"{self.lab.path('log', name + '.log')}")

    def start(self, name, argv, ready):
        process = self.spawn(name, argv)
        self.wait(name, process, lambda: ready(process))
        return process

    def up(self):
        for name, argv in self.commands():
            if name.startswith("setup-"):
                run(*argv, netns=self.ns())
            else:
                self.start(name, argv, READY[name])
        self.start_helpers()
        self.start_broker()

    def restart(self, name):
        """Ends and starts dnsmasq, nginx or nfs. NFS-Ganesha remembers names and contents: what is
        changed behind its back it sees only so."""
        process = self.lab.state.process(name)
        if process:
            process.end()
        self.start(name, dict(self.commands())[name], READY[name])

    def _program(self, name):
        return [self.lab.path("bin", name), "--config", self.lab.conf_file]

    def _serves(self, socket_name):
        """A killed helper leaves its socket's name behind: only an answer tells."""
        path = self.lab.path("run", socket_name)

        def answers(_process):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                return s.connect_ex(path) == 0

        return answers

    def start_helper(self, name):
        """Starts carrel-netd or carrel-authd."""
        _, group = self.user()
        wrap = [*NETD_ONLY, "--regid", group] if name == "carrel-netd" else []
        self.start(name, [*wrap, *self._program(name)],
                   self._serves(name.removeprefix("carrel-") + ".sock"))

    def start_helpers(self):
        for name in ("carrel-netd", "carrel-authd"):
            self.start_helper(name)

    def start_broker(self):
        user, group = self.user()
        log = self.lab.path("log", "carreld.log")
        size = os.path.getsize(log) if os.path.exists(log) else 0

        def ready(_process):
            with open(log, "rb") as f:
                f.seek(size)
                return b"READY\n" in f.read()

        self.start("carreld", [*BROKER_USER_ONLY, "--reuid", user.pw_name, "--regid", group,
                               *self._program("carreld"), "--print-ready",
                               *(["--debug"] if self.lab.debug else [])], ready)

    def kill(self, name):
        """Ends a daemon as a crash would (SIGKILL)."""
        process = self.lab.state.process(name)
        if process is None:
            raise LabError(f"{name} does not run")
        process.kill()

    def forwards(self):
        """The forwards that are open, as carrel-netd lists them."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(10)
            s.connect(self.lab.path("run", "netd.sock"))
            s.send(json.dumps({"id": 1, "op": "forward-list"}).encode())
            answer = json.loads(s.recv(65536))
        if not answer.get("ok"):
            raise LabError(f"carrel-netd: {answer}")
        return answer["forwards"]
