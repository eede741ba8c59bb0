# SPDX-License-Identifier: GPL-2.0-or-later
"""Which bytes of a signed EFI program its signature covers, by Microsoft's "Windows Authenticode
Portable Executable Signature Format" (calculating the PE image hash) and "PE Format". 64-bit programs."""
import hashlib
import struct

# Offsets in the optional header of PE32+.
CHECKSUM, DIRECTORIES, CERTIFICATE_TABLE = 64, 112, 4
SECTION_HEADER = 40


class Program:
    """`parts`: (name, first byte, byte behind the last) of the whole file, in order, without gaps. The
    sum that is signed is taken of all but `unhashed` and the certificate table, where the signature is."""

    unhashed = ("checksum", "entry of the certificate table")

    def __init__(self, data):
        self.data = data
        (pe,) = struct.unpack_from("<I", data, 0x3c)
        assert data[pe:pe + 4] == b"PE\0\0"
        sections, optional_size = struct.unpack_from("<H12xH", data, pe + 6)
        optional = pe + 24
        assert struct.unpack_from("<H", data, optional)[0] == 0x20b
        entry = optional + DIRECTORIES + 8 * CERTIFICATE_TABLE
        self.table, size = struct.unpack_from("<II", data, entry)
        assert size and self.table + size == len(data), "it is not signed, or not once at its end"
        marks = [("headers", 0), ("checksum", optional + CHECKSUM), ("headers", optional + CHECKSUM + 4),
                 ("entry of the certificate table", entry), ("headers", entry + 8)]
        for i in range(sections):
            at = optional + optional_size + SECTION_HEADER * i
            name = data[at:at + 8].rstrip(b"\0").decode()
            stored, place = struct.unpack_from("<II", data, at + 16)
            if stored:
                marks.append((name, place))
        marks.append(("certificate table", self.table))
        marks.sort(key=lambda mark: mark[1])
        ends = [at for _, at in marks[1:]] + [len(data)]
        self.parts = [(name, first, end) for (name, first), end in zip(marks, ends)]

    def named(self, name):
        return [(first, end) for found, first, end in self.parts if found == name]

    def part(self, offset):
        return next(name for name, first, end in self.parts if first <= offset < end)

    def signature(self):
        """First byte and end of the PKCS#7 message: behind the table's header of 8 bytes, before the
        zeros that fill up the table. The message is DER, whose second byte says how many bytes of
        length follow."""
        first = self.table + 8
        assert self.data[first:first + 2] == b"\x30\x82"
        return first, first + 4 + int.from_bytes(self.data[first + 2:first + 4], "big")

    def digest(self, data=None):
        """SHA-256 of all that is signed, of this program or of `data` in its place."""
        covered = hashlib.sha256()
        for name, first, end in self.parts:
            if name not in self.unhashed + ("certificate table",):
                covered.update((data or self.data)[first:end])
        return covered.digest()
