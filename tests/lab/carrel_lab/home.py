# SPDX-License-Identifier: GPL-2.0-or-later
"""A user's files: written and looked at by him in his desktop, and read by the host from the volume.

In the desktop a terminal tells by its own colour how a command went, which is read from the picture
at once and without doubt; OCR would have to guess at check sums.
"""

import contextlib
import os
import subprocess
import tempfile

from . import way
from .errors import LabError, LabTimeout
from .net import run

GOOD, BAD = (0x10, 0xa0, 0x40), (0xc0, 0x20, 0x60)  # the terminal takes one digit of each
FILE, SUM = "work", "work.md5"
SHARE = 0.1  # of the screen: the terminal covers a third of it


def _paint(colour):
    return "printf '\\e]11;#%x%x%x\\a'" % tuple(part >> 4 for part in colour)


def told(seat, command, seconds=60, tries=3):
    """Has the user run a command in his terminal; True when it succeeded. A line in which a busy
    desktop took a key for a held one ends in a shell's error, and is typed again: the command must
    do no harm when it is given twice."""
    for remaining in range(tries - 1, -1, -1):
        # The colour goes first: what is seen afterwards is this command's answer.
        seat.type(f"{_paint((0, 0, 0))};{command} && {_paint(GOOD)} || {_paint(BAD)}\n")
        try:
            screen = seat.watch(lambda s: s.share(GOOD) > SHARE or s.share(BAD) > SHARE, seconds,
                                f"the terminal tells how {command!r} went")
        except LabTimeout:
            if not remaining:
                raise
            seat.key("ctrl-c")
            continue
        if screen.share(GOOD) > SHARE:
            return True
    return False


def write(seat, kib=100):
    """The user writes a file of chance and its check sum, and has both on his disk (sync)."""
    way.wait_window(seat)
    if not told(seat, f"head -c {kib}K /dev/urandom >{FILE} && md5sum {FILE} >{SUM} && sync"):
        raise LabError(f"{seat.name}: the user could not write his file")


def whole(seat):
    """The user finds his file in the desktop that he has now, and it is the one he wrote."""
    way.wait_window(seat)
    return told(seat, f"md5sum -c {SUM}")


# from the host


def _tool(*argv, good=(0,)):
    result = run(*argv, check=False)
    if result.returncode not in good:
        raise LabError(f"{' '.join(argv)}: exit status {result.returncode}: "
                       f"{result.stdout.strip()} {result.stderr.strip()}")
    return result.stdout


@contextlib.contextmanager
def replayed(lab, user):
    """A copy of a user's volume that is in no desktop, its journal replayed; the copy's path. What
    e2fsck finds beside the journal is an error: the volume was not left in order."""
    volume = lab.servers.volume_file(user)
    with tempfile.TemporaryDirectory(dir=lab.directory) as folder:
        copy = os.path.join(folder, "volume")
        _tool("cp", "--sparse=always", volume, copy)
        _tool("e2fsck", "-y", "-E", "journal_only", copy, good=(0, 1))
        _tool("e2fsck", "-fn", copy)
        yield copy


def read(lab, user, name):
    """The bytes of a file on a volume that is in no desktop."""
    with replayed(lab, user) as copy:
        result = subprocess.run(["debugfs", "-R", f"cat {name}", copy], capture_output=True,
                                check=False)
    if b"not found" in result.stderr:
        raise LabError(f"{user}'s volume has no file {name}: {result.stderr.decode().strip()}")
    return result.stdout
