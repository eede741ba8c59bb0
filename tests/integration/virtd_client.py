# SPDX-License-Identifier: GPL-2.0-or-later
"""Drives a real carrel-virtd over its socketpair, as carreld does."""

import json
import os
import select
import socket
import subprocess
import time


class Virtd:
    """One worker. Everything it sends is kept: answers by id, events in their order."""

    def __init__(self, program, name, uri, config, prefix=(), log=None):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket, self.events, self.answers, self.next_id = ours, [], {}, 1
        os.set_inheritable(theirs.fileno(), True)
        self.process = subprocess.Popen(
            [*prefix, program, "--fd", str(theirs.fileno()), "--name", name, "--uri", uri,
             "--config", str(config)], pass_fds=[theirs.fileno()], stderr=log)
        theirs.close()

    def _receive(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.socket], [], [], left)[0]:
            raise TimeoutError(f"nothing more; events so far: {self.events[-8:]}")
        packet = self.socket.recv(70000)
        if not packet:
            raise EOFError(f"carrel-virtd ended with {self.process.wait()}")
        message = json.loads(packet)
        if "event" in message:
            self.events.append(message)
        else:
            self.answers[message["id"]] = message

    def send(self, op, **members):
        number, self.next_id = self.next_id, self.next_id + 1
        self.socket.send(json.dumps({"id": number, "op": op, **members}).encode())
        return number

    def answer(self, number, wait=60):
        deadline = time.monotonic() + wait
        while number not in self.answers:
            self._receive(deadline)
        return self.answers.pop(number)

    def ask(self, op, wait=60, **members):
        return self.answer(self.send(op, **members), wait)

    def good(self, op, wait=60, **members):
        answer = self.ask(op, wait, **members)
        assert answer["ok"], answer
        return answer

    def code(self, op, wait=60, **members):
        answer = self.ask(op, wait, **members)
        assert not answer["ok"], answer
        assert answer["message"], answer
        return answer["code"]

    def event(self, name, seconds=60, since=0, **members):
        """The first event from index `since` on that has these members; waits for it."""
        deadline = time.monotonic() + seconds
        seen = since
        while True:
            for event in self.events[seen:]:
                if event["event"] == name and all(event.get(k) == v for k, v in members.items()):
                    return event
            seen = len(self.events)
            self._receive(deadline)

    def agent(self, desktop, name, seconds=60, since=0):
        """The first message of a desktop's agent with this event name."""
        deadline = time.monotonic() + seconds
        seen = since
        while True:
            for event in self.events[seen:]:
                if event["event"] == "agent" and event["desktop"] == desktop and \
                        event["message"].get("event") == name:
                    return event["message"]
            seen = len(self.events)
            self._receive(deadline)

    def close(self):
        self.socket.close()
        try:
            self.process.wait(10)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
