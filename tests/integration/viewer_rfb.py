# SPDX-License-Identifier: GPL-2.0-or-later
"""RFB servers for the viewer's tests: such as offer what no viewer should take, and one that is as it
should be, draws what the test says, and keeps what it hears."""
import select
import socket
import ssl
import struct
import threading

from viewer_lab import wait_for


class Rogue:
    """An RFB server that offers what it likes, and keeps all that the viewer sends it."""

    def __init__(self, speak):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.got = bytearray()
        self.done = threading.Event()
        self.speak = speak
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        peer, _ = self.listener.accept()
        peer.settimeout(10)
        try:
            self.speak(self, peer)
            while True:
                data = peer.recv(4096)
                if not data:
                    break
                self.got += data
        except (OSError, ssl.SSLError):
            pass
        peer.close()
        self.done.set()

    def read(self, peer, size):
        data = b""
        while len(data) < size:
            more = peer.recv(size - len(data))
            if not more:
                raise OSError("closed")
            data += more
        self.got += data
        return data

    def close(self):
        self.listener.close()


CHALLENGE = bytes(range(16))


def hello(rogue, peer, version=b"RFB 003.008\n"):
    peer.sendall(version)
    rogue.read(peer, 12)


def offer(*kinds):
    """Security types in the clear: 1 = none, 2 = VNC's own."""
    def speak(rogue, peer):
        hello(rogue, peer)
        peer.sendall(bytes([len(kinds), *kinds]))
        rogue.read(peer, 1)
        peer.sendall(struct.pack(">I", 0) if kinds[0] == 1 else CHALLENGE)
    return speak


def old_version(rogue, peer):
    """RFB 3.3, where the server says what is used."""
    hello(rogue, peer, b"RFB 003.003\n")
    peer.sendall(struct.pack(">I", 2) + CHALLENGE)


def vencrypt(kind, then):
    """VeNCrypt with one sub-type."""
    def speak(rogue, peer):
        hello(rogue, peer)
        peer.sendall(bytes([1, 19]))
        rogue.read(peer, 1)
        peer.sendall(bytes([0, 2]))
        rogue.read(peer, 2)
        peer.sendall(bytes([0, 1]) + struct.pack(">I", kind))
        rogue.read(peer, 4)
        then(rogue, peer)
    return speak


def anonymous_tls(rogue, peer):
    """TLS without a certificate, which anybody in between can offer; then VNC's challenge."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:@SECLEVEL=0")
    peer.sendall(b"\x01")
    tls = context.wrap_socket(peer, server_side=True)
    tls.settimeout(10)
    rogue.handshake_done = True
    tls.sendall(CHALLENGE)
    rogue.got += tls.recv(4096)


def certified(folder):
    def then(rogue, peer):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
        peer.sendall(b"\x01")
        tls = context.wrap_socket(peer, server_side=True)
        tls.settimeout(10)
        rogue.handshake_done = True
        tls.sendall(struct.pack(">I", 0))
        rogue.got += tls.recv(4096)
    return then


class Painter(Rogue):
    """A server as it should be, by TLS and with the right password, that sends what QEMU's
    firmware cannot: a cursor, lamps, a change of size; and hears what the viewer sends."""

    def __init__(self, folder, password):
        self.folder, self.password = folder, password
        self.encodings, self.updates = [], []
        self.keys, self.pointers = [], []  # (down, keysym); (buttons, x, y)
        self.ready = threading.Event()
        self.lock = threading.Lock()
        super().__init__(vencrypt(261, Painter.serve))

    def serve(self, peer):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server-cert.pem", self.folder / "server-key.pem")
        peer.sendall(b"\x01")
        self.tls = context.wrap_socket(peer, server_side=True)
        self.tls.sendall(CHALLENGE)
        answer = self.read(self.tls, 16)
        assert answer == vnc_answer(self.password, CHALLENGE)
        self.tls.sendall(struct.pack(">I", 0))
        self.shared = self.read(self.tls, 1)[0]
        self.tls.sendall(struct.pack(">HH", 640, 400)
                         + bytes([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0])
                         + struct.pack(">I", 1) + b"x")
        self.hear()

    def hear(self):
        """Message by message: one thread at a time may use a TLS connection, and tests send on it."""
        while True:
            if not self.tls.pending():
                select.select([self.tls], [], [])
            with self.lock:
                self.message()

    def message(self):
        kind = self.read(self.tls, 1)[0]
        if kind == 0:
            self.read(self.tls, 19)
        elif kind == 2:
            count = struct.unpack(">xH", self.read(self.tls, 3))[0]
            self.encodings = list(struct.unpack(f">{count}i", self.read(self.tls, 4 * count)))
        elif kind == 3:
            self.updates.append(struct.unpack(">BHHHH", self.read(self.tls, 9)))
            self.ready.set()
        elif kind == 4:
            self.keys.append(struct.unpack(">BxxI", self.read(self.tls, 7)))
        elif kind == 5:
            self.pointers.append(struct.unpack(">BHH", self.read(self.tls, 5)))
        else:
            raise AssertionError(f"message {kind}")

    def send(self, *rects):
        with self.lock:
            self.tls.sendall(struct.pack(">BxH", 0, len(rects)) + b"".join(rects))

    def paint(self, rgb):
        """The whole picture in one colour. Returns when the viewer has taken it: it asks for the
        next change then."""
        asked = len(self.updates)
        self.send(rect(0, 0, 640, 400, 0, colour(640, 400, rgb)))
        wait_for("the next request", lambda: len(self.updates) > asked)

    def hang_up(self):
        self.tls.shutdown(socket.SHUT_RDWR)


def rect(x, y, width, height, encoding, data=b""):
    return struct.pack(">HHHHi", x, y, width, height, encoding) + data


def colour(width, height, rgb):
    return bytes([rgb[2], rgb[1], rgb[0], 0]) * (width * height)


def vnc_answer(password, challenge):
    """DES of the challenge, by a key whose bytes are the password's with their bits reversed."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    key = bytes(int(f"{b:08b}"[::-1], 2) for b in password.encode().ljust(8, b"\0")[:8])
    cipher = Cipher(algorithms.TripleDES(key * 3), modes.ECB()).encryptor()
    return cipher.update(challenge) + cipher.finalize()
