# SPDX-License-Identifier: GPL-2.0-or-later
"""The broker as an admin sees it: the command `carrel`, and the admin API behind it."""

import contextlib
import http.client
import json
import socket
import sqlite3
import subprocess

from .errors import LabError, wait_until
from .net import run


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Admin:
    """Talks to the lab's carreld."""

    def __init__(self, lab):
        self.lab = lab

    def api(self, method, path, body=None):
        """One request on $run/api.sock; the answer's JSON, None for an empty one."""
        where = self.lab.path("run", "api.sock")
        connection = _UnixConnection(where)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               headers)
            answer = connection.getresponse()
            data = answer.read()
        except OSError as error:
            raise LabError(f"{where}: {error}; does carreld run? See "
                           f"{self.lab.path('log', 'carreld.log')}") from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise LabError(f"{method} {path}: {answer.status} {data.decode(errors='replace')}")
        return json.loads(data) if data else None

    def carrel(self, *words, check=True, stdin=None):
        """Runs the command `carrel` for this lab; text in .stdout."""
        argv = [self.lab.path("bin", "carrel"), "--config", self.lab.conf_file, *words]
        if stdin is None:
            return run(*argv, check=check)
        result = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        if check and result.returncode:
            raise LabError(f"{' '.join(argv)}: exit status {result.returncode}: "
                           f"{(result.stderr or result.stdout).strip()}")
        return result

    def add_user(self, name, password):
        """Adds a user to Carrel's own list."""
        return self.carrel("user", "add", name, "--password-stdin", stdin=password + "\n")

    @staticmethod
    def _list(answer, key):
        return answer[key] if isinstance(answer, dict) else answer

    def status(self):
        return self.api("GET", "/v1/status")

    def sessions(self):
        return self._list(self.api("GET", "/v1/sessions"), "sessions")

    def desktops(self):
        return self._list(self.api("GET", "/v1/desktops"), "desktops")

    def servers(self):
        return self._list(self.api("GET", "/v1/servers"), "servers")

    def rows(self, sql, *values):
        """Rows of the broker's database, read beside it."""
        database = f"file:{self.lab.path('state', 'carrel.db')}?mode=ro"
        with contextlib.closing(sqlite3.connect(database, uri=True, timeout=30)) as db:
            return db.execute(sql, values).fetchall()

    def ledger(self):
        """Ledgers of the recent logins, in the order in which the broker gives them."""
        return self._list(self.api("GET", "/v1/ledger"), "logins")

    def session(self, user):
        """The living session of `user`, or None."""
        for s in self.sessions():
            if s["user"] == user and s["state"] != "ended":
                return s
        return None

    def wait_session(self, user, state, seconds):
        """Waits until a user's session is in that state, and shown: one that is being moved is
        `connected` before its new picture is there."""
        def ready():
            s = self.session(user)
            return s if s and s["state"] == state and not s["move"] else None

        return wait_until(ready, seconds, lambda: f"session of {user} is {state}; it is "
                          f"{self.session(user)}", step=0.2)

    def end_sessions(self, seconds=120):
        """Ends all sessions and waits until none of their desktops is left."""
        for s in self.sessions():
            if s["state"] != "ended":
                self.api("DELETE", f"/v1/sessions/{s['id']}")

        def idle():
            return not [s for s in self.sessions() if s["state"] != "ended"] and all(
                d["state"] in ("standby", "booting") for d in self.desktops())

        wait_until(idle, seconds, lambda: f"no desktop of an ended session is left; sessions "
                   f"{self.sessions()}, desktops {self.desktops()}", step=0.3)

    def move(self, user, server=None):
        """Moves a user's session to another desktop, on `server` or where it fits best."""
        body = {"server": server} if server else {}
        return self.api("POST", f"/v1/sessions/{self.session(user)['id']}/move", body)

    def wait_desktop(self, state, seconds, count=1):
        """Waits for `count` desktops in `state` (booting, standby, ...); returns them."""
        def ready():
            found = [d for d in self.desktops() if d["state"] == state]
            return found if len(found) >= count else None

        return wait_until(ready, seconds, lambda: f"{count} desktop(s) in state {state}; there are "
                          f"{self.desktops()}", step=0.25)
