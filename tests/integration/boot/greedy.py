# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks the boot server for files: greedy.py SERVER, with {"tftp": [...], "http": [...]} on standard input
(names and request targets, one character a byte). Prints what it got by each: {"tftp": {NAME: BEGINNING},
"http": {TARGET: BEGINNING}}, hex, and how many were refused."""
import json
import sys

from asking import get, http, tftp


def main():
    server, wanted = sys.argv[1], json.load(sys.stdin)
    got = {"tftp": {}, "http": {}, "refused": 0}
    for name in wanted["tftp"]:
        answer = tftp(server, name.encode("latin-1"))
        if answer is None:
            got["refused"] += 1
        else:
            got["tftp"][name] = answer[:512].hex()
    for target in wanted["http"]:
        status, body = http(server, get(target.encode("latin-1")))
        if status in (200, 206):
            got["http"][target] = body[:512].hex()
        else:
            assert 400 <= status < 500, (target, status)
            got["refused"] += 1
    json.dump(got, sys.stdout)


main()
