# SPDX-License-Identifier: GPL-2.0-or-later
"""A seat that is a program: what the PC's viewer says and does, without the PC. Eight of them cost
less than one PC does.

It has a namespace with a cable of its own at the switch of the client LAN, for a forward is keyed by
the client's address. One thread reads the event stream and opens it again when it is lost; each
`ready` has its picture opened by another, and input goes to the new desktop from its first whole
frame on, while the old picture still stands.

Everything is kept with its time in `events`: those of the broker by their own names (`stage`,
`ready`, `handoff`, `moved`, `ended`, `refused`), and the seat's own: `frame` (a new desktop's first
whole picture), `lost` (the picture's connection ended), `unopened` (a `ready` led nowhere), `gap`
(the event stream was lost).
"""

import contextlib
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections import namedtuple

from .boot import BROKER_PORT
from .errors import LabError, LabTimeout
from .net import BOOT_SERVER, CLIENT_NET, inside, netns_exists, run
from .rfb import Refused, Rfb
from .station import Station

STREAM_TIMEOUT = 40   # seconds; the broker says something every 15
KEY_GAP = 0.03        # seconds between two keys
AGAIN = 0.3           # seconds between two tries of what was lost
TRIES = 200
OVER = ("refused", "moved", "ended")

Event = namedtuple("Event", "time name data")  # time.monotonic()


class Seat(Station):
    """seat1, seat2, ...: 10.77.0.20N, MAC 52:54:00:78:00:0N."""

    def __init__(self, lab, name):
        match = re.fullmatch(r"seat([1-9]|[1-4][0-9])", name)
        if not match:
            raise LabError(f"{name!r} is no seat's name; they are seat1 to seat49")
        self.lab, self.name = lab, name
        self.ip = f"{CLIENT_NET}.{200 + int(match[1])}"
        self.mac = f"52:54:00:78:00:{int(match[1]):02x}"
        self.ca = lab.path("pki", "ca.crt")
        self.changed = threading.Condition()
        self.events, self.user = [], None
        self._token = self._stream = self._rfb = None
        self._moving = self._left = False
        if not netns_exists(lab.net.ns(name)):
            lab.net.make(name)
            lab.net.plug(name, "eth0", "br-lan", f"{self.ip}/24")
            run("ip", "-n", lab.net.ns(name), "link", "set", "eth0", "address", self.mac)

    # the broker

    def _connect(self, host, port, timeout=30):
        with inside(self.lab.net.ns(self.name)):
            return socket.create_connection((host, port), timeout)

    def _https(self, method, path, body=None, timeout=30):
        """The open connection and the answer's head."""
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPConnection(BOOT_SERVER, BROKER_PORT)
        connection.sock = context.wrap_socket(self._connect(BOOT_SERVER, BROKER_PORT, timeout),
                                              server_hostname=BOOT_SERVER)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            if self._token:
                headers["Authorization"] = f"Bearer {self._token}"
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               headers)
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def post(self, what, body=None):
        """POST /v1/client/WHAT; the answer's JSON, None for an empty one."""
        connection, answer = self._https("POST", f"/v1/client/{what}", body)
        with contextlib.closing(connection):
            data = answer.read()
        if answer.status >= 300:
            raise LabError(f"{self.name}: POST {what}: {answer.status} "
                           f"{data.decode(errors='replace')}")
        return json.loads(data) if data else None

    def login(self, user, password):
        """Begins a login; what comes of it is in the events."""
        self.leave()
        with self.changed:
            self.events, self.user, self._token = [], user, None
            self._moving = self._left = False
        body = {"user": user, "password": password, "seat": self.mac, "boot": []}
        self._token = self._patiently(lambda: self.post("login", body))["login"]
        self._begin()

    def enter(self, user, password, seconds=240):
        """Logs in and waits for the desktop's first picture; LabError when it is refused."""
        self.login(user, password)
        return self.wait("frame", seconds)

    def logout(self):
        self.post("logout")

    def move_now(self):
        self.post("move-now")

    def reconnect(self):
        self.post("reconnect")

    def leave(self):
        """The viewer ends without a word; the session is left without one."""
        with self.changed:
            self._left = True
        self._hang_up()

    def resume(self):
        """Takes the session up again with the login's token, after leave()."""
        with self.changed:
            self._left = self._moving = False
        self._begin()

    def pull_plug(self):
        """Nothing goes to the seat any more, nor comes from it; nobody is told."""
        self.lab.net.cable(self.name, "eth0", False)
        self.leave()

    def plug_in(self):
        self.lab.net.cable(self.name, "eth0", True)

    # events

    def note(self, name, data):
        with self.changed:
            self.events.append(Event(time.monotonic(), name, data))
            self.changed.notify_all()

    def find(self, name, since=0, where=lambda data: True):
        """The first event of that name at or after moment `since` for which where(data) holds."""
        with self.changed:
            return next((e for e in self.events
                         if e.name == name and e.time >= since and where(e.data)), None)

    def wait(self, name, seconds, since=0, where=lambda data: True):
        """Waits for such an event. A login that is over meanwhile is an error, which says how."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not (found := self.find(name, since, where)):
                end = self.over()
                if end and end.time >= since:
                    raise LabError(f"{self.name}: {self.user}'s login is over while {name} was "
                                   f"awaited: {end.name} {end.data}")
                if not self.changed.wait(max(0, deadline - time.monotonic())):
                    last = [(e.name, e.data) for e in self.events if e.name != "ready"][-6:]
                    raise LabTimeout(f"{self.name}: not within {seconds:g} s: {name} for "
                                     f"{self.user}; its last events: {last}")
        return found

    def over(self):
        """The event that ended the login, or None."""
        with self.changed:
            return next((e for e in self.events if e.name in OVER), None)

    def wait_over(self, seconds):
        """Waits for the login's end, whichever it is."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not self.over():
                if not self.changed.wait(max(0, deadline - time.monotonic())):
                    raise LabTimeout(f"{self.name}: not within {seconds:g} s: the end of "
                                     f"{self.user}'s login; its last event: {self.events[-1:]}")
            return self.over()

    # the desktop

    def running(self):
        return not self.over() and not self._left

    def screen(self):
        with self.changed:
            rfb = self._rfb
        if rfb is None:
            raise LabError(f"{self.name} shows no desktop; its last events: {self.events[-3:]}")
        return rfb.frame()

    def type(self, text, gap=KEY_GAP):
        super().type(text, gap)

    def key(self, *combinations, gap=KEY_GAP):
        for combination in combinations:
            with self.changed:
                rfb = self._rfb
            if rfb is None:
                raise LabError(f"{self.name} shows no desktop to type into")
            rfb.key(combination)
            time.sleep(gap)

    # its threads

    def _begin(self):
        threading.Thread(target=self._listen, daemon=True).start()

    def _open(self):
        connection, answer = self._https("GET", "/v1/client/events", timeout=STREAM_TIMEOUT)
        if answer.status != 200:
            text = answer.read().decode(errors="replace")
            connection.close()
            raise LabError(f"{self.name}: events: {answer.status} {text}")
        with self.changed:
            self._stream = connection
        return answer

    def _hang_up(self):
        with self.changed:
            stream, rfb = self._stream, self._rfb
            self._stream = self._rfb = None
        if stream and stream.sock:
            with contextlib.suppress(OSError):
                stream.sock.shutdown(socket.SHUT_RDWR)
        if rfb:
            rfb.close()

    def _listen(self):
        """Reads one login's events to their end; a lost stream is opened again with the token."""
        token = self._token
        while True:
            try:
                stream = self._patiently(self._open)
            except (OSError, LabError) as error:
                if not self._left and token == self._token:
                    self.note("ended", {"code": "token", "message": str(error)})
                return
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._read(stream, token)
            if self._left or self.over() or token != self._token:
                return
            self.note("gap", {})

    def _patiently(self, action):
        """Does it again until the broker answers, a refusal (LabError) included."""
        for _ in range(TRIES):
            try:
                return action()
            except (OSError, http.client.HTTPException) as error:
                last = error
                if self._left or self.over():
                    break
                time.sleep(AGAIN)
        raise OSError(f"{self.name}: the broker does not answer: {last}")

    def _tell(self, what, body=None):
        """Says something that the broker may have no use for any more."""
        with contextlib.suppress(OSError, LabError):
            self._patiently(lambda: self.post(what, body))

    def _read(self, stream, token):
        name = None
        for line in stream:
            word, _, value = line.decode().rstrip("\n").partition(": ")
            if word == "event":
                name = value
            elif word == "data" and token == self._token:
                self._take(name, json.loads(value))

    def _take(self, name, data):
        with self.changed:
            if name == "handoff":
                self._moving = data["step"] == "moving"
        self.note(name, data)
        if name == "ready":
            threading.Thread(target=self._show, args=(data, time.monotonic()),
                             daemon=True).start()
        elif name in OVER:
            self._hang_up()

    def _show(self, ready, came):
        with self.changed:
            if self._rfb and self._rfb.alive() and not self._moving:
                return  # the picture stands: the stream alone was lost
        rfb = None
        try:
            raw = self._connect(ready["host"], ready["port"])
            rfb = Rfb(raw, self.ca, ready["tls_name"], ready["ticket"],
                      lambda reason: self._on_lost(rfb, reason))
            rfb.frame(60)
        except (OSError, LabError, Refused) as error:
            if rfb:
                rfb.close()
            self.note("unopened", {"reason": str(error)})
            self._ask_again()
            return
        ms = round((time.monotonic() - came) * 1000)
        with self.changed:
            if not self.running():
                rfb.close()
                return
            old, self._rfb = self._rfb, rfb
            self._moving = False
        self.note("frame", {"ms": ms, "session": ready["session"]})
        if old:
            old.close()
        self._tell("report", {"event": "first-frame", "ms": ms})

    def _on_lost(self, rfb, reason):
        with self.changed:
            if rfb is None or rfb is not self._rfb:
                return
            moving, self._rfb = self._moving, None
        self.note("lost", {"reason": reason})
        if not moving:
            self._ask_again()

    def _ask_again(self):
        time.sleep(AGAIN)
        self._tell("reconnect")
