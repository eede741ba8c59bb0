# SPDX-License-Identifier: GPL-2.0-or-later
"""A desktop's picture and keyboard by VNC, as the viewer has them: VeNCrypt X509Vnc, the server's
name checked against the lab's CA, the ticket as password. Raw and zlib rectangles are enough.

One thread reads: it waits for bytes without the TLS object, and takes the lock to use it, because
that object may not be used by two threads at once. A server sends a picture only when it is asked,
so an idle connection costs nothing, and its end is noticed at once.
"""

import os
import select
import ssl
import struct
import sys
import threading
import time
import zlib

import numpy

from .errors import LabError, LabTimeout
from .qmp import KEYS
from .screen import Screen

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "integration"))
import vnc_password  # noqa: E402  (the path must be set first)

Refused = vnc_password.Refused

RAW, ZLIB, DESKTOP_SIZE = 0, 6, -223
# 32 bits, little endian, blue in the lowest byte.
PIXELS = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)

# QEMU's key names (qmp.py) as keysyms: letters and signs are those without shift.
KEYSYMS = {name: ord(character) for character, (name, shift) in KEYS.items() if not shift}
KEYSYMS.update({"ret": 0xff0d, "tab": 0xff09, "backspace": 0xff08, "esc": 0xff1b, "shift": 0xffe1,
                "ctrl": 0xffe3, "alt": 0xffe9, "left": 0xff51, "up": 0xff52, "right": 0xff53,
                "down": 0xff54, "delete": 0xffff})


class Rfb:
    """`raw` is a connected socket, taken over. Refused when the server is not what it should be."""

    def __init__(self, raw, ca, tls_name, ticket, on_lost=lambda reason: None):
        self.on_lost = on_lost
        self.tls = vnc_password.handshake(raw, ca, tls_name, ticket)
        self.tls.sendall(b"\1")  # others may look, too
        width, height = struct.unpack(">HH", vnc_password.exactly(self.tls, 4))
        vnc_password.exactly(self.tls, 16)
        vnc_password.exactly(self.tls, struct.unpack(">I", vnc_password.exactly(self.tls, 4))[0])
        self.changed = threading.Condition()
        self.lost = None
        self._closed = False
        self._resize(width, height)
        self._inflate = zlib.decompressobj()
        self._lock = threading.Lock()
        self.tls.setblocking(False)
        self._send(b"\0\0\0\0" + PIXELS)
        self._send(struct.pack(">BxHiii", 2, 3, ZLIB, RAW, DESKTOP_SIZE))
        threading.Thread(target=self._read, daemon=True).start()

    def close(self):
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        try:
            self.tls.shutdown(2)  # wakes the reader, which closes it
        except OSError:
            pass

    def alive(self):
        return self.lost is None and not self._closed

    # from us

    def _send(self, data):
        view = memoryview(data)
        while view:
            try:
                with self._lock:
                    view = view[self.tls.send(view):]
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                select.select([], [self.tls], [], 1)
            except OSError as error:
                raise LabError(f"the desktop's connection is lost: {error}") from error

    def key(self, combination):
        """Presses "ctrl-alt-t": all down in order, all up in reverse, in one packet."""
        names = combination.split("-")
        # A small letter beside shift would tell QEMU that caps lock is on.
        keys = [KEYSYMS[name] - 32 if "shift" in names and name.isalpha() and len(name) == 1
                else KEYSYMS[name] for name in names]
        self._send(b"".join([struct.pack(">BBxxI", 4, 1, key) for key in keys] +
                            [struct.pack(">BBxxI", 4, 0, key) for key in reversed(keys)]))

    def frame(self, seconds=30):
        """Asks for a whole picture and returns it."""
        deadline = time.monotonic() + seconds
        with self.changed:
            self._missing[:] = True
            asked = None
            while self._missing.any() or asked != self.pixels.shape:
                if not self.alive():
                    raise LabError(f"no picture: {self.lost or 'the connection is closed'}")
                if asked != self.pixels.shape:
                    asked = self.pixels.shape
                    self._send(struct.pack(">BBHHHH", 3, 0, 0, 0, asked[1], asked[0]))
                if not self.changed.wait(max(0, deadline - time.monotonic())):
                    raise LabTimeout(f"not within {seconds:g} s: a whole picture of the desktop; "
                                     f"{self._missing.mean():.0%} of it is missing")
            return Screen(self.pixels.copy())

    # from the server

    def _resize(self, width, height):
        self.pixels = numpy.zeros((height, width, 3), numpy.uint8)
        self._missing = numpy.ones((height, width), bool)

    def _draw(self, x, y, width, height, data):
        part = numpy.frombuffer(data, numpy.uint8).reshape(height, width, 4)
        self.pixels[y:y + height, x:x + width] = part[:, :, 2::-1]
        self._missing[y:y + height, x:x + width] = False

    def _rectangle(self):
        x, y, width, height, encoding = struct.unpack(">HHHHi", (yield 12))
        if encoding == RAW:
            data = yield width * height * 4
        elif encoding == ZLIB:
            data = self._inflate.decompress((yield struct.unpack(">I", (yield 4))[0]))
        elif encoding != DESKTOP_SIZE:
            raise LabError(f"the desktop sends encoding {encoding}, which nobody asked for")
        with self.changed:
            if encoding == DESKTOP_SIZE:
                self._resize(width, height)
            else:
                self._draw(x, y, width, height, data)

    def messages(self):
        """Takes the stream apart: yields how many bytes it wants next, and is sent them."""
        while True:
            kind = (yield 1)[0]
            if kind == 0:  # FramebufferUpdate
                for _ in range(struct.unpack(">xH", (yield 3))[0]):
                    yield from self._rectangle()
                with self.changed:
                    self.changed.notify_all()
            elif kind == 3:  # ServerCutText
                yield struct.unpack(">xxxI", (yield 7))[0]
            elif kind != 2:  # Bell
                raise LabError(f"the desktop sends message {kind}, which nobody asked for")

    def _receive(self):
        """Some bytes; empty at the end."""
        while True:
            try:
                with self._lock:
                    return self.tls.recv(1 << 18)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([self.tls], [], [])

    def _read(self):
        reason = "the desktop closed the connection"
        parser, buffer = self.messages(), bytearray()
        wanted = next(parser)
        try:
            while data := self._receive():
                buffer += data
                while len(buffer) >= wanted:
                    piece = bytes(buffer[:wanted])
                    del buffer[:wanted]
                    wanted = parser.send(piece)
        except (OSError, ValueError, LabError, zlib.error) as error:
            reason = str(error)
        with self.changed:
            self.lost = reason
            self.changed.notify_all()
        self.tls.close()
        if not self._closed:
            self.on_lost(reason)
