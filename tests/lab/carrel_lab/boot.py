# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot server: its daemons, each in the foreground inside namespace cl-NAME-boot."""

import json
import os
import shlex

from .errors import LabError, wait_until
from .net import listens, run

HTTP_PORT, BROKER_PORT, REPORT_PORT, NFS_PORT = 80, 7443, 7480, 2049


class BootServer:
    def __init__(self, lab):
        self.lab = lab

    @property
    def lease_file(self):
        return self.lab.path("state", "boot", "leases")

    def ns(self):
        return self.lab.net.ns("boot")

    def bootconf(self, *words, check=True):
        return run(self.lab.path("bin", "carrel-bootconf"), "--config", self.lab.conf_file, *words,
                   netns=self.ns(), check=check)

    def render(self):
        return self.bootconf("render")

    def commands(self):
        """{name: argv} of dnsmasq, nginx and the NFS server, as carrel-bootconf says them."""
        return {name: argv for name, argv in json.loads(
            self.bootconf("--commands").stdout).items()}

    def spawn(self, name, argv):
        return self.lab.state.spawn(name, ["ip", "netns", "exec", self.ns(), *argv],
                                    self.lab.path("log", f"{name}.log"))

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
