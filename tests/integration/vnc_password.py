# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: vnc_password.py HOST PORT CA TLS_NAME <PASSWORD: exit status 0 when QEMU's VNC server lets the
password in over VeNCrypt X509Vnc (RFB 3.8, security type 19, subtype 261), 1 when it refuses it."""

import socket
import ssl
import struct
import subprocess
import sys

X509_VNC = 261


class Refused(Exception):
    """The server speaks something else, or does not let the password in."""


def exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            raise Refused("the server closed the connection")
        data += piece
    return data


def response(password, challenge):
    """DES of the challenge with the password's bytes, each with its bits turned round."""
    key = bytes(int(f"{b:08b}"[::-1], 2) for b in password.encode().ljust(8, b"\0")[:8])
    # One DES key three times is plain DES, which newer OpenSSL keeps apart as "legacy".
    return subprocess.run(["openssl", "enc", "-des-ede3", "-nopad", "-K", (key * 3).hex()],
                          input=challenge, capture_output=True, check=True).stdout


def handshake(raw, ca, name, password):
    """Leads a connected socket to where ClientInit comes next; returns the TLS socket around it."""
    exactly(raw, 12)
    raw.sendall(b"RFB 003.008\n")
    kinds = exactly(raw, exactly(raw, 1)[0])
    if 19 not in kinds:
        raise Refused(f"no VeNCrypt but {list(kinds)}")
    raw.sendall(b"\x13")
    exactly(raw, 2)
    raw.sendall(b"\x00\x02")
    exactly(raw, 1)
    subtypes = struct.unpack(f">{(n := exactly(raw, 1)[0])}I", exactly(raw, 4 * n))
    if subtypes != (X509_VNC,):
        raise Refused(f"not X509Vnc alone but {subtypes}")
    raw.sendall(struct.pack(">I", X509_VNC))
    if exactly(raw, 1) != b"\x01":
        raise Refused("the server refused the subtype")
    tls = ssl.create_default_context(cafile=ca).wrap_socket(raw, server_hostname=name)
    tls.sendall(response(password, exactly(tls, 16)))
    if struct.unpack(">I", exactly(tls, 4))[0]:
        raise Refused("the server refused the password")
    return tls


def main(host, port, ca, name):
    raw = socket.create_connection((host, int(port)), timeout=30)
    try:
        handshake(raw, ca, name, sys.stdin.read())
    except Refused as refused:
        print(refused)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
