# SPDX-License-Identifier: GPL-2.0-or-later
"""Places in what a PC fetches, at which a bit is flipped: drawn from a seed, and so that small parts
have their share."""
import contextlib
import os
import random
import struct

SEED = int(os.environ.get("CARREL_FLIPS_SEED", "1865"))
BLOCK, DIGESTS = 4096, 128  # of dm-verity: bytes, and hashes in a block of its tree


def rng(name):
    return random.Random("%d %s" % (SEED, name))


@contextlib.contextmanager
def flipped(path, offset, bit):
    """The file with that bit flipped, and as it was afterwards."""
    turn(path, offset, bit)
    try:
        yield
    finally:
        turn(path, offset, bit)


def turn(path, offset, bit):
    with open(path, "r+b") as f:
        f.seek(offset)
        (byte,) = struct.unpack("B", f.read(1))
        f.seek(offset)
        f.write(bytes([byte ^ 1 << bit]))


def draw(name, total, parts):
    """`total` places (offset, bit), no two the same: `parts` are (share, [(first, end)...]), those of a
    part spread evenly over its bytes; what the shares leave comes from all parts together."""
    dice, places = rng(name), set()
    shares = [(share, spans) for share, spans in parts if spans]
    everything = [span for _, spans in shares for span in spans]
    for share, spans in shares + [(total, everything)]:
        size = sum(end - first for first, end in spans)
        wanted = min(total, len(places) + min(share, size * 8))
        while len(places) < wanted:
            at = dice.randrange(size)
            for first, end in spans:
                if at < end - first:
                    break
                at -= end - first
            places.add((first + at, dice.randrange(8)))
    assert len(places) == total
    return sorted(places)


class Tree:
    """Where dm-verity's hash tree lies behind the data, its top first."""

    def __init__(self, data_blocks):
        self.data_blocks, counts = data_blocks, []
        while not counts or counts[-1] > 1:
            counts.append(-(-(counts[-1] if counts else data_blocks) // DIGESTS))
        self.levels, at = [], data_blocks
        for height in reversed(range(len(counts))):
            self.levels.append((height, at, at + counts[height]))
            at += counts[height]
        self.end = at

    def block_below(self, offset):
        """A data block that cannot be good when the byte at `offset` is not."""
        number = offset // BLOCK
        for height, first, end in self.levels:
            if first <= number < end:
                return (number - first) * DIGESTS ** (height + 1)
        return number
