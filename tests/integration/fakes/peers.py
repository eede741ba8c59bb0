# SPDX-License-Identifier: GPL-2.0-or-later
"""The other ends of carreld's sockets, played by the test: carrel-authd, carrel-netd, and a
virtualization server with its desktops behind carrel-virtd. They speak the messages of
docs/protocols.md and keep a world that outlives any one connection, as the real ones do."""
import json
import os
import socket
import threading

MSG_MAX = 65536
# Of works on volumes, exactly what carrel-virtd wants to be told (broker/virt/request.c).
MEMBERS = {
    "volume-show": "volume copy", "volume-drop": "volume snapshot", "pool-show": "",
    "volume-snapshot": "volume copy snapshot keep", "volume-restore": "volume copy to snapshot",
    "volume-check": "volume copy user", "volume-repair": "volume copy to snapshot user",
    "volume-grow": "volume copy size_mib", "volume-export": "volume copy path",
    "volume-import": "volume copy to path size_mib uid user", "volume-delete": "volume",
    "volume-sweep": "volume copy", "volume-cancel": "volume", "volume-attach": "volume desktop copy",
}


class Peer:
    """Listens on a SOCK_SEQPACKET socket; each connection has a thread that answers requests."""

    def __init__(self, path):
        self.path = str(path)
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.connections = []
        self.asked = []
        self.listener = None
        self.open()

    def open(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """Nobody listens any more, and those who were connected are cut off."""
        os.unlink(self.path)
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        self.greet(connection)
        while True:
            try:
                data = connection.recv(MSG_MAX + 1)
            except OSError:
                data = b""
            if not data:
                break
            request = json.loads(data)
            with self.lock:
                self.asked.append(request)
                answer = self.answer(dict(request), connection)
                self.changed.notify_all()
            if answer is not None:
                answer["id"] = request["id"]
                self.send(connection, answer)
            self.after(request, connection)
        with self.lock:
            self.connections.remove(connection)
            self.changed.notify_all()
        connection.close()

    def send(self, connection, message):
        try:
            connection.send(json.dumps(message).encode())
        except OSError:
            pass

    def greet(self, connection):
        pass

    def after(self, request, connection):
        pass

    def answer(self, request, connection):
        raise NotImplementedError

    def wait(self, condition, seconds=10):
        """Waits until condition() is true; returns its value."""
        with self.lock:
            if not self.changed.wait_for(condition, seconds):
                raise AssertionError("did not happen in %s s; asked: %s" % (seconds, self.asked))
            return condition()

    def ops(self):
        return [request["op"] for request in self.asked]


def ok(**members):
    return dict(ok=True, **members)


def fail(code, message):
    return {"ok": False, "code": code, "message": message}


class Authd(Peer):
    def __init__(self, path):
        self.users = {"alice": ("wonderland", "Alice", 20001), "김철수": ("비밀번호", "김철수", 20002),
                      "bob": ("builder", "Bob", 20003)}
        super().__init__(path)

    def answer(self, request, connection):
        op, user = request["op"], request.get("user")
        if op == "user-list":
            return ok(users=[{"user": u, "full_name": f, "uid": i}
                             for u, (_, f, i) in self.users.items()])
        if op == "authenticate":
            if user not in self.users or self.users[user][0] != request["password"]:
                return fail("denied", "denied")
            _, name, uid = self.users[user]
            return ok(user=user, full_name=name, uid=uid, gid=uid)
        if op == "user-add":
            if user in self.users:
                return fail("exists", "there is a user %s already" % user)
            self.users[user] = (request["password"], request["full_name"], 20100 + len(self.users))
            return ok(uid=self.users[user][2])
        if user not in self.users:
            return fail("unknown-user", "there is no user %s" % user)
        if op == "user-del":
            del self.users[user]
        else:
            self.users[user] = (request["password"],) + self.users[user][1:]
        return ok()


class Netd(Peer):
    def __init__(self, path):
        self.forwards = {}
        self.lacks_network = False  # set-ups fail
        super().__init__(path)

    def answer(self, request, connection):
        op = request["op"]
        if op == "setup" and self.lacks_network:
            return fail("bad-request", "[network] server_interface could not be found out: ...")
        key = (request.get("client"), request.get("port"))
        if op == "forward-add":
            self.forwards[key] = (request["server"], request["server_port"])
        elif op == "forward-del":
            self.forwards.pop(key, None)
        elif op == "forward-list":
            return ok(forwards=[{"client": c, "port": p, "server": s, "server_port": sp}
                                for (c, p), (s, sp) in self.forwards.items()])
        return ok()


class Server(Peer):
    """One virtualization server; `path` is where carrel-virtd's stand-in connects to."""

    def __init__(self, path, host="127.78.0.10"):
        self.host = host
        self.desktops = {}
        self.volumes = set()
        self.snapshots = {}  # volume -> names
        self.images = set()
        self.tickets = {}
        self.failures = {}   # op -> (code, message)
        self.hanging = set()  # ops that are never answered; works on volumes when they are called off
        self.held = []        # (connection, request) of those
        self.reachable = True
        self.claim_answer = None  # (code, message) of claims that fail
        self.keyboard_answer = None  # the same of keyboards
        self.mute = False         # agents say nothing
        super().__init__(path)

    def event(self, event, **members):
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            self.send(connection, dict(event=event, **members))

    def agent(self, desktop, message):
        self.event("agent", desktop=desktop, message=message)

    def greet(self, connection):
        if self.reachable:
            self.send(connection, {"event": "server-up", "memory_mib": 9000, "cpus": 4, "kvm": False})
        else:
            self.send(connection, {"event": "server-down", "message": "no route to the server"})

    def answer(self, request, connection):
        op, desktop = request["op"], request.get("desktop")
        if op in MEMBERS and set(MEMBERS[op].split()) != set(request) - {"id", "op"}:
            return fail("bad-request", "%s with the members %s" % (op, ", ".join(sorted(request))))
        if op in self.hanging:
            self.held.append((connection, request))
            return None
        if op in self.failures:
            return fail(*self.failures[op])
        if op == "image-ensure":
            self.images.add(request["image"])
        elif op == "image-list":
            return ok(images=sorted(self.images))
        elif op == "image-remove":
            self.images.discard(request["image"])
        elif op == "desktop-list":
            return ok(desktops=[dict(desktop=d, running=True, vnc_host=self.host,
                                     vnc_port=vm["vnc_port"], memory_mib=vm["memory_mib"])
                                for d, vm in self.desktops.items()])
        elif op == "desktop-start":
            if request["image"] not in self.images:
                return fail("no-image", "the pool has no %s" % request["image"])
            vm = dict(request, vnc_port=5900 + desktop, user="", volume=None)
            self.desktops[desktop] = vm
            return ok(vnc_host=self.host, vnc_port=vm["vnc_port"])
        elif op == "desktop-resize":
            if desktop not in self.desktops:
                return fail("not-found", "there is no desktop %d" % desktop)
            self.desktops[desktop]["memory_mib"] = request["memory_mib"]
            return ok(memory_mib=request["memory_mib"])
        elif op == "desktop-destroy":
            self.desktops.pop(desktop, None)
        elif op == "volume-create":
            self.volumes.add(request["volume"])
        elif op == "pool-show":
            return ok(pool="carrel-volumes", capacity=100 << 30, available=40 << 30)
        elif op == "volume-show":
            return ok(name="home-%d" % request["volume"], size=8 << 30, allocation=5 << 20,
                      snapshots=[{"name": n, "size": 8 << 30, "allocation": 1 << 20}
                                 for n in self.snapshots.get(request["volume"], [])])
        elif op in ("volume-snapshot", "volume-restore", "volume-check", "volume-repair", "volume-grow",
                    "volume-export", "volume-import", "volume-delete"):
            assert request["volume"] not in [vm["volume"] for vm in self.desktops.values()], "in use"
            return self.volume_work(request)
        elif op == "volume-cancel":
            for held, work in [h for h in self.held if h[1].get("volume") == request["volume"]]:
                self.send(held, dict(fail("cancelled", "called off"), id=work["id"]))
        elif op == "volume-drop":
            if request["snapshot"] not in self.snapshots.get(request["volume"], []):
                return fail("not-found", "there is no such snapshot")
            self.snapshots[request["volume"]].remove(request["snapshot"])
        elif op == "volume-attach":
            holders = [d for d, vm in self.desktops.items() if vm["volume"] == request["volume"]]
            assert request["volume"] in self.volumes and not holders, "attached twice"
            self.desktops[desktop]["volume"] = request["volume"]
        elif op == "volume-detach":
            if desktop in self.desktops:
                self.desktops[desktop]["volume"] = None
        elif op == "ticket-set":
            assert desktop in self.desktops
            self.tickets[desktop] = request["password"]
        elif op == "ticket-clear":
            self.tickets.pop(desktop, None)
        return ok()

    def volume_work(self, request):
        op, volume = request["op"], request["volume"]
        if op == "volume-snapshot":
            self.snapshots.setdefault(volume, []).append(request["snapshot"])
        elif op == "volume-restore" and request["snapshot"] not in self.snapshots.get(volume, []):
            return fail("not-found", "there is no %s" % request["snapshot"])
        elif op == "volume-check":
            return ok(damaged=False)
        elif op == "volume-grow":
            return ok(size_mib=request["size_mib"])
        elif op == "volume-delete":
            self.volumes.discard(volume)
            self.snapshots.pop(volume, None)
        return ok(copy=request["to"]) if "to" in request else ok()

    def after(self, request, connection):
        op, desktop = request["op"], request.get("desktop")
        if self.mute or op in self.hanging or op in self.failures:
            return
        if op == "desktop-start":
            self.agent(desktop, {"event": "hello", "agent": "fake", "image": request["image"],
                                 "state": "standby", "user": ""})
        elif op == "agent-send":
            self.agent_heard(desktop, request["message"])

    def agent_heard(self, desktop, message):
        if message["op"] == "claim" and self.claim_answer:
            self.agent(desktop, dict(fail(*self.claim_answer), id=message["id"]))
            return
        if message["op"] == "keyboard":
            assert set(message) == {"op", "id", "keyboard"}
            if self.keyboard_answer:
                self.agent(desktop, dict(fail(*self.keyboard_answer), id=message["id"]))
                return
            self.desktops[desktop]["keyboard"] = message["keyboard"]
        elif message["op"] == "claim":
            assert message["volume"] == "vol-%d" % self.desktops[desktop]["volume"]
            self.agent(desktop, {"event": "progress", "id": message["id"], "stage": "mount", "percent": 50})
            self.desktops[desktop]["user"] = message["user"]
        elif message["op"] == "release" and desktop in self.desktops:
            self.desktops[desktop]["user"] = ""
        self.agent(desktop, {"id": message["id"], "ok": True})
