# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks for an address as firmware does: dhcpask.py INTERFACE ADDRESS QUESTION...

A QUESTION is CLASS:ARCH (vendor class, client architecture; "-" for none), then for the boot server on
port 4011 with "@SERVER/ITEM" behind it, ITEM being the number in the menu that the first answer had;
for that the interface has ADDRESS ("-" for none so far). They are
sent one behind the other; what is answered until the last has its answer is printed as JSON, one list
of answers a question."""
import json
import socket
import struct
import sys

MAC = bytes.fromhex("525400770009")
MAGIC = b"\x63\x82\x53\x63"
DISCOVER, REQUEST = 1, 3


def packet(xid, kind, vendor_class, arch, address, item):
    fixed = struct.pack("!BBBBIHH4s4s4s4s16s64s128s", 1, 1, 6, 0, xid, 0, 0x8000,
                        socket.inet_aton(address), bytes(4), bytes(4), bytes(4), MAC, b"", b"")
    options = [(53, bytes([kind])), (55, bytes([1, 3, 6, 43, 54, 60, 66, 67, 97])), (97, bytes(17)),
               (94, bytes([1, 3, 16]))]
    if item:  # PXE_BOOT_ITEM in the vendor's options
        options.append((43, struct.pack("!BBHHB", 71, 4, int(item), 0, 255)))
    if vendor_class != "-":
        options.append((60, vendor_class.encode()))
    if arch != "-":
        options.append((93, struct.pack("!H", int(arch))))
    return fixed + MAGIC + b"".join(bytes([n, len(v)]) + v for n, v in options) + b"\xff"


def options_of(data):
    found, at = {}, 0
    while at < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        length = data[at + 1]
        found[data[at]] = data[at + 2:at + 2 + length].hex()
        at += 2 + length
    return found


def main():
    interface, address = sys.argv[1:3]
    questions = sys.argv[3:]
    sockets = {}
    for port in (68, 4011):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        s.bind(("", port))
        sockets[port] = s
    answers = [[] for _ in questions]
    for xid, question in enumerate(questions):
        question, _, server = question.partition("@")
        server, _, item = server.partition("/")
        vendor_class, _, arch = question.rpartition(":")
        own = "0.0.0.0" if address == "-" else address
        s = sockets[4011 if server else 68]
        s.settimeout(20)
        s.sendto(packet(xid, REQUEST if server else DISCOVER, vendor_class, arch, own, item),
                 (server or "255.255.255.255", 4011 if server else 67))
    while not answers[-1]:
        data = s.recv(4096)
        xid = struct.unpack_from("!I", data, 4)[0]
        options = options_of(data[240:])
        answers[xid].append({
            "yiaddr": socket.inet_ntoa(data[16:20]), "siaddr": socket.inet_ntoa(data[20:24]),
            "file": bytes.fromhex(options.get(67, "")).rstrip(b"\0").decode() or
            data[108:236].split(b"\0")[0].decode(), "options": options})
    print(json.dumps(answers))


main()
