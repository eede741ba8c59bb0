# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab has made, so that `down` can take it away after any crash.

`journal` in the lab's folder is a list of JSON lines, only ever appended to, each written before
the thing it names is used:

    {"kind": "boot", "id": ...}                          the kernel's boot id
    {"kind": "netns", "name": ...}                       about to be made
    {"kind": "process", "name":, "pid":, "start":}       written by the child itself before exec
    {"kind": "server", "name":, "directory":}            about to be brought up by lab-server

A process is ours only if its start time (/proc/PID/stat, field 22) is the recorded one: ids are
given again, pairs of id and start time within one boot are not. What our processes fork is found
by CARREL_LAB_ID in its environment. Signals go through pidfds, so none can hit a stranger.
"""

import json
import os
import select
import signal
import subprocess
import time
import uuid

from .errors import LabError

MARK = "CARREL_LAB_ID"


def boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        return f.read().strip()


def _stat_fields(pid):
    """What follows a process's name in /proc/PID/stat, from its state on; None when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None


def process_stat(pid):
    """(state letter, start time in clock ticks), or None when there is no such process."""
    fields = _stat_fields(pid)
    return (fields[0], int(fields[19])) if fields else None


def process_seconds(pid):
    """Seconds of processor time that a process has used; 0 when it has ended."""
    fields = _stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0


def words_of(pid):
    """The words of a process's command line; none when it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode("utf-8", "replace").rstrip("\0").split("\0")
    except OSError:
        return [""]


def children(pid):
    """{id: words} of the processes whose parent is `pid` now; its threads' children are its own."""
    found = {}
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as f:
                found.update({int(child): words_of(child) for child in f.read().split()})
    except OSError:
        pass  # the process, or one of its threads, has just ended
    return found


class Process:
    """One recorded process."""

    def __init__(self, name, pid, start):
        self.name, self.pid, self.start = name, pid, start
        self.popen = None

    def alive(self):
        if self.popen is not None and self.popen.poll() is not None:
            return False
        stat = process_stat(self.pid)
        return stat is not None and stat[1] == self.start and stat[0] not in "ZX"

    def command(self):
        """Its words, with blanks between; empty when it has ended."""
        try:
            with open(f"/proc/{self.pid}/cmdline", "rb") as f:
                return f.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            return ""

    def _pidfd(self):
        try:
            fd = os.pidfd_open(self.pid)
        except (ProcessLookupError, OSError):
            return None
        if not self.alive():
            os.close(fd)
            return None
        return fd

    def signal(self, number):
        fd = self._pidfd()
        if fd is None:
            return False
        try:
            signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(fd)
        return True

    def wait(self, seconds):
        """True when the process has ended within `seconds`."""
        fd = self._pidfd()
        if fd is not None:
            try:
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                poll.poll(int(seconds * 1000))
            finally:
                os.close(fd)
        if self.popen is not None:
            self.popen.poll()
        return not self.alive()

    def end(self, patience=5.0):
        """TERM, and KILL when that does not help."""
        if self.signal(signal.SIGTERM) and not self.wait(patience):
            self.kill()

    def kill(self):
        if self.signal(signal.SIGKILL) and not self.wait(10):
            raise LabError(f"process {self.pid} ({self.name}) cannot be killed; it hangs in the "
                           f"kernel. See /proc/{self.pid}/stack")


class State:
    """The lab's folder with its journal."""

    def __init__(self, directory):
        self.directory = directory
        self.path = os.path.join(directory, "journal")
        self.id = None
        self._children = []

    def exists(self):
        return os.path.exists(self.path)

    def create(self):
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        self.id = str(uuid.uuid4())
        self.append(kind="boot", id=boot_id(), lab=self.id)

    def append(self, **entry):
        data = (json.dumps(entry) + "\n").encode()
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)

    def entries(self):
        """All whole lines; a torn last one (power cut) says nothing."""
        result = []
        try:
            with open(self.path, encoding="utf-8") as f:
                for line in f:
                    try:
                        result.append(json.loads(line))
                    except ValueError:
                        continue
        except FileNotFoundError:
            pass
        for entry in result:
            if entry["kind"] == "boot":
                self.id = entry["lab"]
        return result

    def same_boot(self):
        boots = [e["id"] for e in self.entries() if e["kind"] == "boot"]
        return bool(boots) and boots[-1] == boot_id()

    def names(self, kind):
        """Names recorded under `kind`, oldest first, each once, without those forgotten later."""
        names = {}
        for e in self.entries():
            if e["kind"] == kind:
                names[e["name"]] = e
            elif e["kind"] == "forget" and e["what"] == kind:
                names.pop(e["name"], None)
        return names

    def forget(self, kind, name):
        self.append(kind="forget", what=kind, name=name)

    def environment(self):
        if self.id is None:
            self.entries()
        return {**os.environ, MARK: self.id, "LC_ALL": "C.UTF-8"}

    def spawn(self, name, argv, log, cwd="/", env=None):
        """Starts `argv`; its id is in the journal before the program is executed."""

        def record():
            pid = os.getpid()
            self.append(kind="process", name=name, pid=pid, start=process_stat(pid)[1])

        with open(log, "ab") as out:
            popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                     cwd=cwd, env={**self.environment(), **(env or {})},
                                     preexec_fn=record, start_new_session=True)
        process = Process(name, popen.pid, process_stat(popen.pid)[1])
        process.popen = popen
        self._children.append(popen)
        return process

    def processes(self):
        """All recorded processes, oldest first."""
        return [Process(e["name"], e["pid"], e["start"])
                for e in self.entries() if e["kind"] == "process"]

    def process(self, name):
        """The youngest process of that name that lives, or None."""
        for p in reversed(self.processes()):
            if p.name == name and p.alive():
                return p
        return None

    def marked(self):
        """Living processes that carry the lab's mark in their environment (children of ours)."""
        mark = f"{MARK}={self.id}".encode()
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry}/environ", "rb") as f:
                    if mark not in f.read().split(b"\0"):
                        continue
            except OSError:
                continue
            stat = process_stat(int(entry))
            if stat and stat[0] not in "ZX":
                found.append(Process("child", int(entry), stat[1]))
        return found

    def end_processes(self):
        """Ends what is recorded, youngest first, then what those had forked."""
        if not self.same_boot():
            return
        for p in reversed(self.processes()):
            p.end()
        deadline = time.monotonic() + 10
        while (rest := self.marked()) and time.monotonic() < deadline:
            for p in rest:
                p.signal(signal.SIGTERM)
            for p in rest:
                if not p.wait(2):
                    p.kill()
