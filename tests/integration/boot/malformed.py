# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends the boot server what is no request: malformed.py SERVER INTERFACE SEED COUNT. Of DHCP, TFTP and
HTTP that many each, half of them good ones that were changed, half of the kinds below. Nothing is
expected of the answers. Prints how many were sent."""
import json
import random
import socket
import struct
import sys

from asking import RRQ, WRQ, get, http

MAGIC = b"\x63\x82\x53\x63"
LINE = b"\nNov 27 00:00:00 dnsmasq-dhcp[1]: 1 DHCPACK(lan0) 10.77.0.9 52:54:00:00:00:66\n"
METHODS = [b"PUT", b"POST", b"DELETE", b"MKCOL", b"MOVE", b"COPY", b"PROPFIND", b"PATCH", b"CONNECT", b"TRACE",
           b"OPTIONS", b"get", b"G\0T"]


def spoil(dice, data):
    """Cut, lengthened, or with bytes and bits changed."""
    data = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        kind = dice.randrange(4)
        at = dice.randrange(len(data)) if data else 0
        if kind == 0:
            del data[at:]
        elif kind == 1:
            data[at:at] = dice.randbytes(dice.choice([1, 8, 300]))
        elif data and kind == 2:
            data[at] = dice.randrange(256)
        elif data:
            data[at] ^= 1 << dice.randrange(8)
    return bytes(data[:1400])


def dhcp(dice, options):
    mac = b"\x52\x54\x66" + dice.randbytes(3)
    return struct.pack("!BBBBIHH4s4s4s4s16s64s128s", 1, 1, dice.choice([6, 6, 0, 16, 255]), dice.randrange(3),
                       dice.getrandbits(32), 0, 0x8000, bytes(4), bytes(4), bytes(4),
                       dice.choice([bytes(4), bytes(4), b"\x7f\0\0\1", dice.randbytes(4)]), mac,
                       dice.choice([b"", dice.randbytes(64)]),
                       dice.choice([b"", dice.randbytes(128)])) + MAGIC + options


def option(number, value):
    return bytes([number, len(value)]) + value


def dhcp_message(dice):
    kind = option(53, bytes([dice.choice([1, 1, 3, 4, 7, 8, 0, 99])]))
    pxe = option(60, b"PXEClient:Arch:00000:UNDI:002001")
    good = dhcp(dice, kind + pxe + option(93, b"\0\0") + option(55, bytes([1, 3, 43, 66, 67])) + b"\xff")
    return dice.choice([
        spoil(dice, good), good[:dice.randrange(len(good))],
        dhcp(dice, kind + option(93, b"\0") + option(93, b"") + pxe + b"\xff"),
        dhcp(dice, kind + pxe + bytes([43, 255, 71, 200]) + dice.randbytes(40)),  # lengths beyond the end
        dhcp(dice, kind + option(52, b"\3") + b"\xff"),  # further options in fields of text
        dhcp(dice, kind + option(12, LINE) + option(60, LINE) + option(81, b"\0\0\0" + LINE) + b"\xff"),
        dhcp(dice, kind + option(82, option(1, dice.randbytes(200))) + option(61, b"") + b"\xff"),
        dhcp(dice, kind + b"".join(option(dice.randrange(1, 255), dice.randbytes(dice.randrange(40)))
                                   for _ in range(20))),
        dhcp(dice, (kind + b"\0" * 900)[:1100])])


def tftp_message(dice):
    name = dice.choice([b"lpxelinux.0", b"../" * 300, b"%s%n" * 40, b"", b"a" * 1200, LINE, b"/", b".",
                        b"pxelinux.cfg", b"\xff\xfe", b"boot/"])
    mode = dice.choice([b"octet", b"netascii", b"mail", b"", b"octet" * 50])
    extra = b"".join(b"%s\0%s\0" % (dice.choice([b"blksize", b"tsize", b"windowsize", b"timeout", b"x"]), value)
                     for value in dice.sample([b"0", b"-1", b"99999999999", b"65465", b"1", b"", b"abc"], 3))
    good = struct.pack("!H", dice.choice([RRQ, RRQ, WRQ])) + name + b"\0" + mode + b"\0" + extra
    return dice.choice([spoil(dice, good), good, good[:-1], good[:dice.randrange(1, 9)],
                        struct.pack("!HH", dice.choice([0, 3, 4, 5, 6, 7, 65535]), dice.getrandbits(16)) +
                        dice.randbytes(dice.randrange(500))])


def http_message(dice):
    good = get(dice.choice([b"/boot/carrel.efi", b"/images/", b"/"]))
    return dice.choice([
        spoil(dice, good), get(b"/boot/new", dice.choice(METHODS)), get(b"/images/" + b"a" * 9000),
        b"PUT /images/new HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /boot/carrel.efi HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffff\r\nx",
        b"GET /boot/carrel.efi HTTP/1.1\r\nHost: x\r\nRange: bytes=" + b",".join(
            b"%d-" % dice.randrange(9) for _ in range(900)) + b"\r\nConnection: close\r\n\r\n",
        b"GET /boot/carrel.efi HTTP/1.1\r\nContent-Length: -1\r\nContent-Length: 7\r\n\r\n",
        b"GET /boot/x" + LINE + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /\n\n", b"\x16\x03\x01" + dice.randbytes(99),
        b"GET / HTTP/9.9\r\n\r\n", b"A: " + b"b" * 40000, b"\r\n" * 2000])


def main():
    server, interface, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    dice = random.Random(seed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        s.bind(("", 68))
        for _ in range(count):
            s.sendto(dhcp_message(dice), ("255.255.255.255", 67))
            s.sendto(tftp_message(dice), (server, 69))
    for _ in range(count):
        http(server, http_message(dice))
    json.dump(3 * count, sys.stdout)


main()
