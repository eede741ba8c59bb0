# SPDX-License-Identifier: GPL-2.0-or-later
"""A site's boot server, its real daemons as carrel-bootconf starts them, and a PC, in namespaces.

    pc lan0 -- lan0 10.77.0.1 [boot]
"""
import json
import os
import select
import shlex
import subprocess
import sys
import time

from netns import Lab

SERVER, PC = "10.77.0.1", "10.77.0.50"
HERE = os.path.dirname(os.path.abspath(__file__))
PORTS = {"nginx": 80, "nfs": 2049}


class Room:
    """`site` is a bootsite.Site; what is in it stays."""

    def __init__(self, site):
        self.site, self.lab, self.daemons = site, Lab(), {}
        for name in ("boot", "pc"):
            self.lab.add(name)
        self.lab.cable("pc", "lan0", "boot", "lan0")
        self.lab.ip("boot", "addr", "add", SERVER + "/24", "dev", "lan0")

    def address(self):
        """Gives the PC an address without asking for it."""
        self.lab.ip("pc", "addr", "add", PC + "/24", "dev", "lan0")

    def serve(self, *names):
        """Renders, and starts these of dnsmasq, nginx and nfs; returns when they serve."""
        os.makedirs(self.site.path("run"), exist_ok=True)
        self.site.write()
        self.site.run()
        lines = dict(line.split("\t") for line in self.site.run("--commands").splitlines())
        for name in names:
            command = lines[name]
            if name == "nfs":  # its sockets in /run are not those of this machine's
                command = "sh -c " + shlex.quote("mount -t tmpfs run /run && exec " + command)
            with open(self.site.path(name + ".err"), "wb") as log:
                self.daemons[name] = subprocess.Popen(self.lab.within("boot", *shlex.split(command)),
                                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + 20
        while not all(map(self._serves, names)):
            for name in names:
                assert self.daemons[name].poll() is None, self.log(name)
                assert time.monotonic() < until, self.log(name)
            select.select([], [], [], 0.05)

    def log(self, name):
        with open(self.site.path("state/boot/log/dnsmasq.log" if name == "dnsmasq" else name + ".err"),
                  encoding="utf-8", errors="replace") as f:
            return f.read()

    def _serves(self, name):
        if name == "dnsmasq":  # the last thing it says before it serves
            return "TFTP root" in self.log(name)
        return self.lab.exec("boot", "ss", "-Hltn", "sport", "=", ":%d" % PORTS[name]) != ""

    def script(self, name, *argv, given=None):
        """What a Python program of this folder, run on the PC, prints as JSON."""
        done = subprocess.run(self.lab.within("pc", sys.executable, os.path.join(HERE, name), *argv),
                              input=json.dumps(given), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def ask(self, *questions, address="-"):
        return self.script("dhcpask.py", "lan0", address, *questions)

    def clear(self):
        for process in self.daemons.values():
            process.terminate()  # nginx takes its workers with it
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.lab.close()
