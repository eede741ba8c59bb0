# SPDX-License-Identifier: GPL-2.0-or-later
"""What crossed a PC's wire, split by file: reads a capture (pcap) of the heads of its frames.

TFTP transfers are told apart by the client's port, which its read request names with the file; HTTP
by the last request seen on the connection. Lengths are those on the wire, headers included, so the
parts add up to the tap's own counters (but for frames that a full capture buffer dropped).
"""

import collections
import struct

from .errors import LabError

TCP_NAMES = {2049: "NFS: root image", 7443: "broker (TLS)", 7480: "boot reports"}
FORWARDS = range(5900, 5908)


def frames(path):
    """Yields (seconds, length on the wire, head of the frame)."""
    with open(path, "rb") as f:
        header = f.read(24)
        if len(header) < 24:
            return
        magic = header[:4]
        order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}.get(magic)
        if order is None:
            raise LabError(f"{path} is no pcap file (microseconds); tcpdump -w makes one")
        while len(record := f.read(16)) == 16:
            seconds, micro, kept, length = struct.unpack(order + "IIII", record)
            data = f.read(kept)
            if len(data) < kept:
                return
            yield seconds + micro / 1e6, length, data


class Split:
    """Sorts frames into named heaps; remembers what requests said."""

    def __init__(self, http_port=80):
        self.http_port = http_port
        self.tftp = {}   # client port -> file
        self.http = {}   # client port -> path
        self.heaps = collections.Counter()
        self.first = self.last = None

    def name(self, data):
        kind = data[12:14]
        if kind == b"\x08\x06":
            return "ARP"
        if kind == b"\x86\xdd":
            return "IPv6 (router and neighbour discovery)"
        if kind != b"\x08\x00" or len(data) < 34:
            return "other"
        head = (data[14] & 15) * 4
        protocol, payload = data[23], data[14 + head:]
        if len(payload) < 8:
            return "other IPv4"
        source, target = struct.unpack(">HH", payload[:4])
        if protocol == 17:
            return self._udp(source, target, payload[8:])
        if protocol == 6 and len(payload) >= 20:
            return self._tcp(source, target, payload[(payload[12] >> 4) * 4:])
        return "other IPv4"

    def _udp(self, source, target, payload):
        if {source, target} <= {67, 68, 4011}:
            return "DHCP"
        if target == 69 and payload[:2] == b"\0\1":
            self.tftp[source] = payload[2:].split(b"\0")[0].decode("utf-8", "replace").lstrip("/")
            return f"TFTP: {self.tftp[source]}"
        for port in (target, source):
            if port in self.tftp:
                return f"TFTP: {self.tftp[port]}"
        return "other UDP"

    def _tcp(self, source, target, payload):
        if target == self.http_port and payload[:4] in (b"GET ", b"HEAD"):
            self.http[source] = payload.split(b" ")[1].decode("utf-8", "replace")
        for server, client in ((target, source), (source, target)):
            if server == self.http_port:
                return f"HTTP: {self.http.get(client, '(connection)')}"
            if server in TCP_NAMES:
                return TCP_NAMES[server]
            if server in FORWARDS:
                return "desktop (VNC)"
        return "other TCP"

    def add(self, when, length, data):
        self.first = self.first or when
        self.last = when
        self.heaps[self.name(data)] += length


def split(path, http_port=80, until=None):
    """[(name, bytes)], largest first. `until`: wall-clock seconds at which to stop."""
    heaps = Split(http_port)
    for when, length, data in frames(path):
        if until is not None and when > until:
            break
        heaps.add(when, length, data)
    return heaps.heaps.most_common()
