# SPDX-License-Identifier: GPL-2.0-or-later
"""The power switch of the virtualization servers, as a room's power strip or a server's management
board is one: a daemon of root on a Unix socket to which the broker's user may write.

A request is one line, `off NAME`; the answer one line, `ok` or `error TEXT`. `ok` is said only when
not one process of the server is left. tests/lab/lab-fence is the program that asks; the broker
starts it by `[server] fence`.

usage: pdu.py SOCKET GROUP LAB_SERVER NAME=FOLDER=NETNS...
"""

import os
import shutil
import socket
import subprocess
import sys

REQUEST_MAX = 256
OFF_TIMEOUT = 60  # seconds


class PDU:
    """The lab's switch, as the lab brings it up."""

    def __init__(self, lab):
        self.lab = lab
        self.socket = lab.path("run", "pdu.sock")

    def command(self):
        """For `[server] fence`: the program and its first word."""
        return f"{self.lab.path('bin', 'lab-fence')} {self.socket}"

    def up(self):
        lab = self.lab
        # The broker's user may not read the source tree.
        shutil.copy2(lab.script("tests", "lab", "lab-fence"), lab.path("bin", "lab-fence"))
        _, group = lab.boot.user()
        servers = [f"{n}={lab.path(n)}={lab.net.ns(n)}" for n in lab.servers.names()]
        process = lab.state.spawn(
            "pdu", [sys.executable, "-P", os.path.abspath(__file__), self.socket, group,
                    lab.script("tests", "lab", "lab-server"), *servers],
            lab.path("log", "pdu.log"))
        lab.boot.wait("pdu", process, lambda: ask(self.socket, "hello") == "ok")

    def off(self, name):
        """Switches a server off, as the broker would have it done."""
        return ask(self.socket, f"off {name}")

    def log(self):
        """What was switched, line by line."""
        return self.lab.boot.log("pdu").splitlines()


def ask(path, request):
    """One request and its answer; an error's text when the switch cannot be reached."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(OFF_TIMEOUT)
        try:
            s.connect(path)
            s.sendall(request.encode() + b"\n")
            return s.makefile().readline().strip() or "error the switch hung up"
        except OSError as error:
            return f"error {path}: {error}"


def switch_off(lab_server, folder, netns):
    """Ends a server; returns what is wrong, or None when it is certainly off."""
    try:
        done = subprocess.run([lab_server, "crash", folder], capture_output=True, text=True,
                              timeout=OFF_TIMEOUT, check=False)
        left = subprocess.run(["ip", "netns", "pids", netns], capture_output=True, text=True,
                              timeout=OFF_TIMEOUT, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode:
        return done.stderr.strip() or f"lab-server crash: exit status {done.returncode}"
    if left.returncode:
        return left.stderr.strip() or f"ip netns pids: exit status {left.returncode}"
    if left.stdout.split():
        return f"processes {' '.join(left.stdout.split())} are left in {netns}"
    return None


def answer(request, lab_server, servers):
    """The answer to one request; `servers` is {name: (folder, netns)}."""
    if request == "hello":
        return "ok"
    word, _, name = request.partition(" ")
    if word != "off" or name not in servers:
        return f"error {request!r} is not understood; allowed: off {'|'.join(servers)}"
    wrong = switch_off(lab_server, *servers[name])
    print(f"off {name}: {wrong or 'certain'}", flush=True)
    return f"error {wrong}" if wrong else "ok"


def main(path, group, lab_server, *words):
    servers = {name: (folder, netns) for name, folder, netns in (w.split("=") for w in words)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        shutil.chown(path, group=group)
        os.chmod(path, 0o660)
        listener.listen(8)
        while True:
            client, _ = listener.accept()
            with client:
                client.settimeout(5)
                try:
                    request = client.makefile().readline(REQUEST_MAX).strip()
                    client.sendall(answer(request, lab_server, servers).encode() + b"\n")
                except (OSError, UnicodeDecodeError) as error:
                    print(f"a client was lost: {error}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
