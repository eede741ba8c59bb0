# SPDX-License-Identifier: GPL-2.0-or-later
"""TFTP and HTTP as a client speaks them that is not bound to what is allowed."""
import socket
import struct

RRQ, WRQ, DATA, ACK, ERROR, OACK = 1, 2, 3, 4, 5, 6
HEAD_MAX, BODY_MAX = 65536, 1 << 20


def tftp(server, name, opcode=RRQ, timeout=5.0):
    """The first block of a file, or None when the server gives an error; TimeoutError without a word.
    With WRQ: b"" when the server would take a file of that name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.sendto(struct.pack("!H", opcode) + name + b"\0octet\0", (server, 69))
        data, peer = s.recvfrom(2048)
        (kind,) = struct.unpack_from("!H", data)
        if kind == ERROR:
            return None
        s.sendto(struct.pack("!HH", ERROR, 0) + b"enough\0", peer)
        return data[4:] if kind == DATA else b""


def http(server, request, timeout=5.0):
    """The status and the body of the answer to these bytes, behind which nothing more comes; (0, b"") when
    there is none."""
    with socket.create_connection((server, 80), timeout) as s:
        try:
            s.sendall(request)
            s.shutdown(socket.SHUT_WR)
            answer = b""
            while len(answer) < HEAD_MAX + BODY_MAX and (part := s.recv(65536)):
                answer += part
        except (ConnectionError, TimeoutError):
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    return (int(words[1]), body) if len(words) > 1 and words[1].isdigit() else (0, b"")


def get(target, method=b"GET"):
    return (method + b" " + target + b" HTTP/1.1\r\nHost: boot\r\nRange: bytes=0-4095\r\n"
            b"Connection: close\r\n\r\n")
