# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills one process (SIGKILL, by its id) at a named step of the broker's work.

The steps are lines of carreld's log: the broker of such a lab logs every event (Lab(debug=True)).
A thread follows the log and kills as soon as the line is there: some milliseconds after the broker
has written it, while what the step asked for is under way.
"""

import os
import re
import signal
import threading
import time

from .errors import LabError, LabTimeout, wait_until
from .sampler import desktop_of
from .state import children

LOOK = 0.002  # seconds between two looks at the log

# Name of a step: the line with which it begins. The audit lines of a hand-off are core's
# (broker/core/move.c), events have the names of core_event_name().
STEPS = {
    "login": {
        "authenticating": r"debug login ",
        "placing": r"debug authenticated ",
        "starting": r"debug desktop-started ",
        "attaching": r"debug agent-hello ",
        "claiming": r"debug volume-attached ",
        "connecting": r"debug claimed ",
        "forward": r"debug ticket-set ",
    },
    "handoff": {step: rf"info handoff .*text=\"?{step}: " for step in
                ("announce", "prepare", "quiesce", "detach", "claim", "switch")},
    "logout": {
        "release": r"debug logout ",
        "detach": r"debug released ",
        "destroy": r"debug volume-detached ",
    },
}
DAEMONS = ("carreld", "carrel-netd", "carrel-authd")


class Log:
    """Follows a file from where it ends now."""

    def __init__(self, path):
        self.path = path
        self.position = os.path.getsize(path) if os.path.exists(path) else 0
        self.rest = b""
        self.lines = []  # what was read, for an error

    def read(self):
        """The whole lines that have come."""
        try:
            with open(self.path, "rb") as f:
                f.seek(self.position)
                data = f.read()
        except FileNotFoundError:
            return []
        self.position += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        lines = [line.decode("utf-8", "replace") for line in lines]
        self.lines += lines
        return lines

    def wait(self, pattern, seconds, stop=None):
        """The match of the first line that has `pattern`."""
        deadline = time.monotonic() + seconds
        while not (stop and stop.is_set()):
            for line in self.read():
                match = re.search(pattern, line)
                if match:
                    return match
            if time.monotonic() >= deadline:
                raise LabTimeout(f"not within {seconds:g} s: {pattern!r} in {self.path}; its last "
                                 f"lines: {self.lines[-5:]}")
            time.sleep(LOOK)
        return None


def kill(pid):
    """Kills a process for certain and waits for its end."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}/exe") or _ended(pid), 10,
               f"process {pid} ends after SIGKILL", step=LOOK)
    return True


def _ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


class Victims:
    """Finds the process that a name means, and brings it up again afterwards.

    carreld, carrel-netd, carrel-authd; virtd-sN, the broker's worker for a server; libvirtd-sN;
    qemu-ID, the VM of a desktop. carrel-agent, in the guest, can be killed by the user alone (he has
    sudo): see guest_agent().
    """

    def __init__(self, lab):
        self.lab = lab

    def pid(self, name):
        if name in DAEMONS:
            process = self.lab.state.process(name)
            found = process.pid if process else None
        else:
            kind, _, which = name.partition("-")
            found = {"virtd": self._virtd, "libvirtd": self._libvirtd,
                     "qemu": self._qemu}[kind](which)
        if found is None:
            raise LabError(f"there is no process {name} to kill")
        return found

    def _virtd(self, server):
        broker = self.lab.state.process("carreld")
        for pid, words in children(broker.pid).items() if broker else ():
            if words[0].endswith("carrel-virtd") and words[words.index("--name") + 1] == server:
                return pid
        return None

    def _libvirtd(self, server):
        return self.lab.servers.libvirtd(server)

    def _qemu(self, desktop):
        for server in self.lab.servers.names():
            for pid, words in self.lab.servers.processes(server).items():
                found = desktop_of(words)
                if found and found[0] == int(desktop):
                    return pid
        return None

    def revive(self, name):
        """What a service manager would do. Returns the seconds until it answered."""
        began = time.monotonic()
        if name == "carreld":
            self.lab.boot.start_broker()
            self.lab.admin.status()
        elif name in DAEMONS:
            self.lab.boot.start_helper(name)
        elif name.startswith("libvirtd-"):
            self.lab.servers.start_libvirtd(name.removeprefix("libvirtd-"))
        return time.monotonic() - began


class Killer:
    """`with Killer(lab, "carreld", r"quiesce: "): ...`: kills when the line comes; at the end of the
    block the process is up again, and it is an error when the line never came. `victim` may be a
    function of the match that gives the name."""

    def __init__(self, lab, victim, pattern, seconds=180):
        self.victims = Victims(lab)
        self.victim, self.pattern, self.seconds = victim, pattern, seconds
        self.log = Log(lab.path("log", "carreld.log"))
        self.killed = None        # the name
        self.revived_after = None  # seconds
        self._error = None
        self._stop = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def _run(self):
        try:
            match = self.log.wait(self.pattern, self.seconds, self._stop)
            if match:
                name = self.victim(match) if callable(self.victim) else self.victim
                kill(self.victims.pid(name))
                self.killed = name
                self.revived_after = self.victims.revive(name)
        except Exception as error:  # told by __exit__ or wait, in the test's thread
            self._error = error
        finally:
            self._done.set()

    def wait(self):
        """Waits until the process is dead and up again."""
        if not self._done.wait(self.seconds + 60):
            raise LabTimeout(f"{self.victim} was not killed at {self.pattern!r}")
        if self._error:
            raise self._error

    def __exit__(self, kind, *_):
        self._stop.set()
        self._thread.join()
        if kind is None:
            if self._error:
                raise self._error
            if not self.killed:
                raise LabError(f"the step {self.pattern!r} never came; the last lines of "
                               f"{self.log.path}: {self.log.lines[-5:]}")


GUEST_AGENT = ("sudo systemd-run -q sh -c 'while pgrep -u {user} xterm; do :; done; "
               "kill -9 $(pidof carrel-agent)'")


def guest_agent(user):
    """A command for the user's terminal: a service of the desktop waits for the end of his programs
    (a hand-off's quiesce, a logout's release) and kills carrel-agent then."""
    return GUEST_AGENT.format(user=user)
