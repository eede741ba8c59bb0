# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's control socket (QMP) and what a US keyboard's keys are called there."""

import fcntl
import json
import os
import socket

from .errors import LabError

# Characters and the keys that type them on a US layout: (key, shift).
KEYS = {chr(c): (chr(c), False) for c in range(ord("a"), ord("z") + 1)}
KEYS.update({chr(c).upper(): (chr(c), True) for c in range(ord("a"), ord("z") + 1)})
KEYS.update({d: (d, False) for d in "0123456789"})
KEYS.update({c: (str((i + 1) % 10), True) for i, c in enumerate("!@#$%^&*()")})
for plain, shifted, name in (
        ("-", "_", "minus"), ("=", "+", "equal"), ("[", "{", "bracket_left"),
        ("]", "}", "bracket_right"), ("\\", "|", "backslash"), (";", ":", "semicolon"),
        ("'", '"', "apostrophe"), ("`", "~", "grave_accent"), (",", "<", "comma"),
        (".", ">", "dot"), ("/", "?", "slash")):
    KEYS[plain], KEYS[shifted] = (name, False), (name, True)
KEYS.update({" ": ("spc", False), "\n": ("ret", False), "\t": ("tab", False),
             "\b": ("backspace", False)})


def key_events(combination):
    """Events that press and release "ctrl-alt-t": all down in order, all up in reverse."""
    keys = combination.split("-")

    def event(key, down):
        return {"type": "key",
                "data": {"down": down, "key": {"type": "qcode", "data": key}}}

    return [event(k, True) for k in keys], [event(k, False) for k in reversed(keys)]


class QMP:
    """One connection a call: QEMU serves one client at a time, and the tests, the demo and a
    person with the command `lab` may all want it. A lock file puts them in a row."""

    def __init__(self, path):
        self.path = path

    def __call__(self, command, **arguments):
        return self.batch([(command, arguments)])[0]

    def batch(self, calls):
        """Runs [(command, arguments)] in order on one connection; returns their results."""
        lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(30)
                s.connect(self.path)
                stream = s.makefile("rw", encoding="utf-8")
                stream.readline()  # the greeting
                self._one(stream, "qmp_capabilities", {})
                return [self._one(stream, c, a) for c, a in calls]
        except OSError as error:
            raise LabError(f"QEMU's control socket {self.path}: {error}; does the PC run? "
                           f"(`lab status`)") from error
        finally:
            os.close(lock)

    @staticmethod
    def _one(stream, command, arguments):
        stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        stream.flush()
        for line in stream:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise LabError(f"QEMU refuses {command}: {answer['error']['desc']}")
        raise LabError(f"QEMU ended during {command}")
