# SPDX-License-Identifier: GPL-2.0-or-later
"""A byte-level client of Carrel's privileged helpers, and the starting and ending of one."""

import json
import socket
import subprocess
import threading


class Client:
    """One connection to a helper's SEQPACKET socket."""

    def __init__(self, path, timeout=20):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        self.next_id = 1

    def send(self, op, **members):
        """Sends a request; returns its id."""
        request = {"id": self.next_id, "op": op, **members}
        self.next_id += 1
        self.sock.send(json.dumps(request).encode())
        return request["id"]

    def receive(self):
        """The next answer, or None when the helper has closed."""
        data = self.sock.recv(65536)
        return json.loads(data) if data else None

    def raw(self, data):
        """Sends bytes as they are; returns the answer."""
        self.sock.send(data)
        return self.receive()

    def call(self, op, **members):
        """One request and its answer."""
        number = self.send(op, **members)
        answer = self.receive()
        assert answer is not None and answer["id"] == number, answer
        return answer

    def ok(self, op, **members):
        """One request that must succeed."""
        answer = self.call(op, **members)
        assert answer["ok"] is True, answer
        return answer

    def refused(self, op, **members):
        """The code of a request that must fail; the message is there for people."""
        answer = self.call(op, **members)
        assert answer["ok"] is False, answer
        assert answer["message"]
        return answer["code"]

    def close(self):
        self.sock.close()


class Process:
    """A helper process that says "ready" on standard error. All it says is kept in `log`."""

    def __init__(self, argv, log, timeout=20, **options):
        self.argv = argv
        self.log = log
        self.options = options
        self.timeout = timeout
        self.process = None
        self.reader = None
        self.ready = threading.Event()

    def _read(self, stream):
        with open(self.log, "ab", buffering=0) as log:
            for line in stream:
                log.write(line)
                if b" ready " in line:
                    self.ready.set()
        self.ready.set()

    def start(self):
        """Starts the process and waits for its line."""
        self.ready.clear()
        self.process = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **self.options
        )
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,))
        self.reader.start()
        if not self.ready.wait(self.timeout) or self.process.poll() is not None:
            self.kill()
            raise AssertionError(f"{self.argv[0]} did not become ready: {self.logged()}")
        return self

    def pid(self):
        return self.process.pid

    def _end(self):
        status = self.process.wait(self.timeout)
        self.reader.join()
        self.process.stderr.close()
        self.process = None
        return status

    def stop(self):
        """Ends the process in the orderly way; returns its exit status."""
        if not self.process:
            return 0
        self.process.terminate()
        return self._end()

    def kill(self):
        """Ends it as a crash would."""
        self.process.kill()
        self._end()

    def logged(self):
        with open(self.log, "r", encoding="utf-8") as log:
            return log.read()
