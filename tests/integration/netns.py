# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces for tests: made, entered for one socket, and taken away."""

import ctypes
import os
import socket
import subprocess
import threading

CLONE_NEWNET = 0x40000000


def run(*argv):
    """Runs a command; what it says is in the failure."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


class Lab:
    """Namespaces whose names begin with a prefix of this process, so that runs do not meet."""

    def __init__(self):
        self.prefix = f"ct{os.getpid()}-"
        self.names = []

    def add(self, name):
        run("ip", "netns", "add", self.prefix + name)
        self.names.append(name)
        self.ip(name, "link", "set", "lo", "up")

    def ip(self, name, *argv):
        return run("ip", "-n", self.prefix + name, *argv)

    def exec(self, name, *argv):
        return run(*self.within(name, *argv))

    def within(self, name, *argv):
        """The command line that runs argv in the namespace; it is exec'ed, so the pid is argv's."""
        return ["ip", "netns", "exec", self.prefix + name, *argv]

    def cable(self, a, a_dev, b, b_dev):
        """A virtual cable between two namespaces."""
        run("ip", "link", "add", a_dev, "netns", self.prefix + a, "type", "veth",
            "peer", "name", b_dev, "netns", self.prefix + b)
        self.ip(a, "link", "set", a_dev, "up")
        self.ip(b, "link", "set", b_dev, "up")

    def socket(self, name):
        """A TCP socket that belongs to the namespace: a thread of its own enters it."""
        made = []

        def enter():
            with open(f"/run/netns/{self.prefix}{name}", "rb") as ns:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(ns.fileno(), CLONE_NEWNET) != 0:
                    made.append(OSError(ctypes.get_errno(), "setns"))
                    return
                made.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def close(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", self.prefix + name], check=False)
        self.names = []
