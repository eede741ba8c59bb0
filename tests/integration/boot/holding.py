# SPDX-License-Identifier: GPL-2.0-or-later
"""Begins 400 files by TFTP and 700 requests by HTTP, goes on with none, says "held", and keeps them until
its standard input ends: holding.py SERVER"""
import socket
import struct
import sys

from asking import RRQ, get

TFTP, HTTP = 400, 700


def main():
    server, held = sys.argv[1], []
    for i in range(TFTP):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(0.2)
        s.sendto(struct.pack("!H", RRQ) + b"carrel.efi\0octet\0", (server, 69))
        try:
            s.recv(2048)
        except TimeoutError:
            print("transfer %d is not begun" % i, file=sys.stderr)
            break
        finally:
            held.append(s)
    for _ in range(HTTP):
        s = socket.create_connection((server, 80), 5)
        s.sendall(get(b"/boot/carrel.efi")[:40])
        held.append(s)
    print("held", flush=True)
    sys.stdin.read()


main()
