# SPDX-License-Identifier: GPL-2.0-or-later
"""Moving people and emptying servers: the API's routes and the carrel command."""
import http.client
import json
import re
import signal
import socket
import subprocess

import pytest

from fakes.admin import Admin
from fakes.peers import Server
from fakes.site import BUILD, Site


@pytest.fixture
def site(tmp_path, certificate):
    """A site with a server; end() of what is added to `more` comes last."""
    site = Site(tmp_path, certificate)
    site.more = []
    site.start()
    site.add_server()
    yield site
    site.end()
    for peer in site.more:
        peer.close()


def add_two(site):
    """A second server, with the same room."""
    peer = Server(site.folder / "virt-two.sock", "127.78.0.20")
    site.more.append(peer)
    site.cli("server", "add", "two", "qemu+tls://two/system")
    site.wait_status(lambda s: [x["state"] for x in s["servers"]] == ["up", "up"])
    return peer


class Door(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("carrel", timeout=20)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


def ask(site, method, path, body=None, raw=None):
    door = Door(site.folder / "run/api.sock")
    door.request(method, path, raw if raw is not None else json.dumps(body) if body is not None else None)
    response = door.getresponse()
    text = response.read()
    door.close()
    return response.status, json.loads(text)


def rows(site, what):
    status, answer = ask(site, "GET", "/v1/" + what)
    assert status == 200
    return answer[what]


def alice(site):
    """Logs her in; the desktop and the session that she has."""
    token, stream = site.login()
    session = stream.wait("ready")["session"]
    return token, stream, rows(site, "sessions")[0]["desktop"], session


# --- the API ---

def test_rows_say_that_nobody_is_moved(site):
    _, _, desktop, session = alice(site)
    row = rows(site, "sessions")[0]
    assert row["id"] == session
    nothing = {"move": "", "move_why": "", "next": 0, "next_server": "", "next_memory_mib": 0}
    assert {key: row[key] for key in nothing} == nothing and row["move_problem"] == ""
    server = rows(site, "servers")[0]
    assert server["users"] == 1 and server["lost"] is False and server["cpus"] == 4
    status = ask(site, "GET", "/v1/status")[1]
    assert status["moving"] == 0
    assert status["next"]["handoff"] == "" and status["next"]["handoff_size_mib"] == 0
    one = ask(site, "GET", "/v1/desktops/%d" % desktop)
    assert one[0] == 200 and {key: one[1][key] for key in nothing} == nothing
    assert one[1]["user"] == "alice" and one[1]["session"] == session and one[1]["server"] == "one"
    assert (one[1]["standby"], one[1]["next_of"], one[1]["live"]) == (False, "", False)
    listed = [d for d in rows(site, "desktops") if d["id"] == desktop][0]
    assert listed == {key: one[1][key] for key in listed}


def test_move_now_without_a_handoff_changes_nothing(site):
    token, _, desktop, _ = alice(site)
    assert site.request("POST", "/v1/client/move-now", token=token) == (202, {})
    assert site.request("POST", "/v1/client/move-now")[0] == 401
    assert site.request("POST", "/v1/client/move-now", {"x": 1}, token)[0] == 400
    assert site.request("GET", "/v1/client/move-now", token=token)[0] == 405
    assert ask(site, "POST", "/v1/client/move-now")[0] == 404
    row = rows(site, "sessions")[0]
    assert (row["desktop"], row["state"], row["move"]) == (desktop, "connected", "")


@pytest.mark.parametrize("path,code", [
    ("sessions/99/move", "unknown-session"), ("sessions/bob/move", "unknown-session"),
    ("sessions/-1/move", "unknown-session"), ("sessions/0/move", "unknown-session"),
    ("sessions/18446744073709551617/move", "unknown-session"),
    ("desktops/99/move", "unknown-desktop"), ("desktops/alice/move", "unknown-desktop"),
    ("desktops/1x/move", "unknown-desktop"), ("desktops/99/resize", "unknown-desktop"),
])
def test_who_is_to_be_moved_is_not_known(site, path, code):
    alice(site)
    body = {"memory_mib": 1024} if path.endswith("resize") else {}
    status, answer = ask(site, "POST", "/v1/" + path, body)
    assert (status, answer["code"]) == (404, code) and "list" in answer["message"]
    assert ask(site, "GET", "/v1/" + path)[0] == 405


@pytest.mark.parametrize("what,body,say", [
    ("sessions", {"memory_mib": 1000}, "4096, 2048, 1024"), ("sessions", {"memory_mib": 8192}, "4096, 2048, 1024"),
    ("sessions", {"memory_mib": 0}, "no size"), ("sessions", {"memory_mib": "1024"}, "whole number"),
    ("sessions", {"memory_mib": -1024}, "whole number"), ("sessions", {"server": 2}, "text"),
    ("sessions", {"server": ""}, "text"), ("sessions", {"to": "two"}, "not known"),
    ("resize", {}, "missing"), ("resize", {"memory_mib": 512}, "4096, 2048, 1024"),
    ("resize", {"memory_mib": 1024, "server": "one"}, "not known"), ("move", {"memory_mib": 1024}, "not known"),
])
def test_where_to_makes_no_sense(site, what, body, say):
    _, _, desktop, session = alice(site)
    path = "/v1/sessions/%d/move" % session if what == "sessions" else "/v1/desktops/%d/%s" % (desktop, what)
    status, answer = ask(site, "POST", path, body)
    assert (status, answer["code"]) == (400, "bad-request") and say in answer["message"]
    assert rows(site, "sessions")[0]["move"] == ""


def test_servers_that_nobody_can_be_moved_to(site):
    _, _, desktop, session = alice(site)
    peer = add_two(site)
    status, answer = ask(site, "POST", "/v1/sessions/alice/move", {"server": "nine"})
    assert (status, answer["code"]) == (404, "unknown-server")
    site.cli("server", "drain", "two")
    for path in ("sessions/alice", "sessions/%d" % session, "desktops/%d" % desktop):
        status, answer = ask(site, "POST", "/v1/%s/move" % path, {"server": "two"})
        assert (status, answer["code"]) == (409, "busy") and answer["message"]
    site.cli("server", "drain", "two", "--off")
    peer.close()
    site.more.remove(peer)
    site.wait_status(lambda s: s["servers"][1]["state"] == "down")
    assert ask(site, "POST", "/v1/sessions/alice/move", {"server": "two"})[0] == 409
    assert site.cli("session", "move", "alice", "--to", "two", status=1).stderr.startswith("carrel: ")
    row = rows(site, "sessions")[0]
    assert (row["desktop"], row["state"], row["move"]) == (desktop, "connected", "")


def test_a_desktop_that_nobody_uses_is_not_moved(tmp_path, certificate):
    site = Site(tmp_path, certificate, standby=1)
    try:
        site.start()
        site.add_server()
        site.wait_status(lambda s: s["standby"] == 1)
        desktop = rows(site, "desktops")[0]["id"]
        one = ask(site, "GET", "/v1/desktops/%d" % desktop)[1]
        assert (one["standby"], one["next_of"], one["user"], one["session"]) == (True, "", "", 0)
        for what, body in (("move", {}), ("resize", {"memory_mib": 1024})):
            status, answer = ask(site, "POST", "/v1/desktops/%d/%s" % (desktop, what), body)
            assert (status, answer["code"]) == (409, "busy") and "desktop destroy" in answer["message"]
        status, answer = ask(site, "DELETE", "/v1/desktops/%d" % desktop)
        assert status == 202 and answer == {"desktop": desktop, "user": "", "session": 0}
    finally:
        site.end()


def test_a_desktop_in_use_is_destroyed_only_with_force(site):
    _, _, desktop, session = alice(site)
    path = "/v1/desktops/%d" % desktop
    for body in (None, {}, {"force": False}):
        status, answer = ask(site, "DELETE", path, body)
        assert (status, answer["code"]) == (409, "busy")
        assert "alice" in answer["message"] and "session %d" % session in answer["message"]
    for body in ({"force": 1}, {"yes": True}):
        assert ask(site, "DELETE", path, body)[0] == 400
    assert ask(site, "DELETE", path, raw="{")[0] == 400
    assert rows(site, "sessions")[0]["desktop"] == desktop
    status, answer = ask(site, "DELETE", path, {"force": True})
    assert status == 202 and answer == {"desktop": desktop, "user": "alice", "session": session}
    assert ask(site, "DELETE", "/v1/desktops/99", {"force": True})[1]["code"] == "unknown-desktop"


def test_a_server_is_lost_only_when_it_is_down(site):
    status, answer = ask(site, "POST", "/v1/servers/one/lost")
    assert (status, answer["code"]) == (409, "busy") and "one" in answer["message"]
    assert ask(site, "POST", "/v1/servers/nine/lost")[1]["code"] == "unknown-server"
    assert ask(site, "POST", "/v1/servers/one/lost", {"x": 1})[0] == 400
    site.server.close()
    site.wait_status(lambda s: s["servers"][0]["state"] == "down")
    assert ask(site, "POST", "/v1/servers/one/lost") == (202, {"server": "one"})
    assert "switch it off" in site.cli("server", "lost", "one", status=1).stderr
    assert "count as gone" in site.cli("server", "lost", "one", "--yes").stdout


def test_a_session_is_ended_by_its_users_name(site):
    _, stream, _, session = alice(site)
    assert ask(site, "DELETE", "/v1/sessions/bob")[1]["code"] == "unknown-session"
    assert ask(site, "DELETE", "/v1/sessions/alice") == (202, {"session": session})
    assert stream.wait("ended")["code"] == "admin"
    assert "no session alice" in site.cli("session", "end", "alice", status=1).stderr


# --- the command, with carreld ---

def test_cli_looks_at_a_desktop(site):
    _, _, desktop, session = alice(site)
    text = site.cli("desktop", "show", str(desktop)).stdout
    assert "user      alice, session %d\n" % session in text and "move      -\n" in text
    assert json.loads(site.cli("desktop", "show", str(desktop), "--json").stdout)["user"] == "alice"
    assert "no desktop 99" in site.cli("desktop", "show", "99", status=1).stderr
    lines = site.cli("session", "list").stdout.splitlines()
    assert lines[0].endswith("MOVE") and lines[1].endswith(" -")
    assert "moving" not in site.cli("status").stdout


def test_cli_destroys_a_desktop(site):
    _, _, desktop, session = alice(site)
    error = site.cli("desktop", "destroy", str(desktop), status=1).stderr
    assert "alice's session %d" % session in error and "--yes" in error
    assert "alice's session %d ends" % session in site.cli("desktop", "destroy", str(desktop), "--yes").stdout
    assert "no desktop 99" in site.cli("desktop", "destroy", "99", "--yes", status=1).stderr


@pytest.mark.parametrize("words,say", [
    ("session move", "session move ID|USER"), ("session move alice --to", "--to"),
    ("session move alice --size big", "--size"), ("session end alice --to one", "--to is no option of session end"),
    ("session list --wait", "--wait is no option"), ("desktop move 1 --size 1024", "--size is no option"),
    ("desktop resize 1", "desktop resize ID MIB"), ("desktop resize 1 small", "not a size"),
    ("desktop destroy", "desktop destroy ID"), ("desktop list --yes", "--yes is no option"),
    ("server drain --wait one", "write --wait last"), ("server drain one --wait=0", "--wait"),
    ("server drain one --off --wait", "--off"), ("server lost", "server lost NAME"),
    ("server remove one --yes", "--yes is no option"), ("user list --wait", "--wait"),
])
def test_cli_wrong_use(tmp_path, words, say):
    done = subprocess.run([BUILD / "carrel", "--config", tmp_path / "none.conf", *words.split()],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2 and say in done.stderr, done.stderr


def test_cli_moves_need_what_is_there(site):
    alice(site)
    assert "no session bob" in site.cli("session", "move", "bob", status=1).stderr
    assert "no server nine" in site.cli("session", "move", "alice", "--to", "nine", "--wait", status=1).stderr
    assert "4096, 2048, 1024" in site.cli("session", "move", "alice", "--size", "3GiB", status=1).stderr
    assert "no desktop 99" in site.cli("desktop", "move", "99", status=1).stderr
    assert "no desktop 99" in site.cli("desktop", "resize", "99", "1024", status=1).stderr
    assert "no server" in site.cli("server", "drain", "nine", "--wait", status=1).stderr
    assert "no server" in site.cli("server", "lost", "nine", "--yes", status=1).stderr


class Waiting:
    """`carrel ARGS` under way; line() is what it says next."""

    def __init__(self, conf, *args):
        self.process = subprocess.Popen([BUILD / "carrel", "--config", conf, *args], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def line(self):
        return self.process.stdout.readline()

    def end(self):
        out, error = self.process.communicate(timeout=30)
        return self.process.returncode, out, error


def test_drain_waits_until_the_server_is_empty(site):
    token, _, _, _ = alice(site)
    waiting = Waiting(site.conf, "server", "drain", "one", "--wait")
    assert re.match(r"one: \d users? left, \d desktops?$", waiting.line())
    assert site.request("POST", "/v1/client/logout", token=token)[0] == 202
    status, out, error = waiting.end()
    assert status == 0 and error == ""
    assert out.splitlines()[-2:] == ["one: 0 users left, 0 desktops", "The server is empty."]
    assert site.cli("server", "drain", "one", "--wait", "1").stdout.endswith("The server is empty.\n")
    site.cli("server", "remove", "one")


def test_drain_that_is_waited_for_no_longer_stays_on(site):
    alice(site)
    error = site.cli("server", "drain", "one", "--wait", "1", status=1).stderr
    assert "the time is out" in error and "1 user and 1 desktop" in error and "--off" in error
    waiting = Waiting(site.conf, "server", "drain", "one", "--wait")
    waiting.line()
    waiting.process.send_signal(signal.SIGINT)
    status, _, error = waiting.end()
    assert status == 1 and "interrupted" in error and "drain stays on" in error
    assert rows(site, "servers")[0]["draining"] is True
    waiting = Waiting(site.conf, "server", "drain", "one", "--wait")
    waiting.line()
    site.cli("server", "drain", "one", "--off")
    status, _, error = waiting.end()
    assert status == 1 and "called off" in error


def test_drain_says_why_nobody_can_be_moved(site):
    alice(site)
    done = site.cli("server", "drain", "one", "--wait", "--json", status=1)
    why = rows(site, "sessions")[0]["move_problem"]
    assert why and "nobody can be moved now: " + why in done.stderr
    answer = json.loads(done.stdout)
    assert answer["outcome"] == "stuck" and [s["user"] for s in answer["sessions"]] == ["alice"]
    assert answer["server"]["users"] == 1


# --- the command, with answers that the test gives ---

def session_row(desktop=5, server="one", memory_mib=2048, **more):
    row = {"id": 3, "user": "alice", "full_name": "Alice", "state": "connected", "desktop": desktop,
           "server": server, "memory_mib": memory_mib, "client": "", "seat": "", "started": "",
           "move": "", "move_why": "", "next": 0, "next_server": "", "next_memory_mib": 0, "move_problem": ""}
    return dict(row, **more)


def moving(step, **more):
    return session_row(state="moving", move=step, move_why="admin", next=9, next_server="two", next_memory_mib=1024,
                       **more)


def server_row(users, desktops, **more):
    return dict({"name": "one", "state": "up", "draining": True, "lost": False, "users": users, "desktops": desktops},
                **more)


def sessions(*states):
    return [(200, {"sessions": list(state)}) for state in states]


def servers(*states):
    return [(200, {"servers": [state]}) for state in states]


MOVE = "POST /v1/sessions/alice/move"
MOVE_ANSWER = (202, {"session": 3, "user": "alice", "desktop": 5, "server": "one", "memory_mib": 2048})


@pytest.fixture
def played(tmp_path):
    """played({request: answers}) plays carreld; run(*args) is the command."""
    conf = tmp_path / "carrel.conf"
    conf.write_text("[network]\nclient_address = 127.77.0.1/24\nclient_range = 127.77.0.100-127.77.0.200\n"
                    "server_network = 127.78.0.0/24\n[paths]\nrun = %s\n" % tmp_path)
    opened = []

    def play(answers):
        admin = Admin(tmp_path / "api.sock", answers)
        admin.run = lambda *args: subprocess.run([BUILD / "carrel", "--config", conf, *args], text=True,
                                                 capture_output=True, timeout=30, check=False)
        admin.conf = conf
        opened.append(admin)
        return admin
    yield play
    for admin in opened:
        admin.close()


def test_move_is_followed_to_its_end(played):
    admin = played({MOVE: [MOVE_ANSWER], "GET /v1/sessions": sessions(
        [moving("announce")], [moving("announce")], [moving("quiesce")],
        [session_row(desktop=9, server="two", memory_mib=1024, move="claim", move_why="admin")],
        [session_row(desktop=9, server="two", memory_mib=1024)])})
    done = admin.run("session", "move", "alice", "--to", "two", "--size", "1GiB", "--wait")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "alice: announce (admin) to desktop 9, 1024 MiB on two", "alice: quiesce (admin) to desktop 9, 1024 MiB on two",
        "alice: claim (admin)", "alice has desktop 9, 1024 MiB on two."]
    assert admin.asked[0] == (MOVE, {"server": "two", "memory_mib": 1024})


@pytest.mark.parametrize("end,say", [([session_row()], "was not moved"), ([], "has ended")])
def test_move_that_comes_to_nothing(played, end, say):
    answers = {MOVE: [MOVE_ANSWER], "GET /v1/sessions": sessions([moving("prepare")], end)}
    done = played(answers).run("session", "move", "alice", "--wait", "60")
    assert done.returncode == 1 and say in done.stderr


def test_move_as_json_and_time_out(played):
    admin = played({MOVE: [MOVE_ANSWER], "GET /v1/sessions": sessions([moving("announce")])})
    done = admin.run("session", "move", "alice", "--wait", "1", "--json")
    assert done.returncode == 1 and "the time is out" in done.stderr
    assert json.loads(done.stdout)["move"] == "announce"
    assert json.loads(admin.run("session", "move", "alice", "--json").stdout) == MOVE_ANSWER[1]
    assert "alice is being moved" in admin.run("session", "move", "alice").stdout


def test_resize_in_place_counts_as_moved(played):
    admin = played({"POST /v1/desktops/5/resize": [MOVE_ANSWER], "GET /v1/sessions": sessions(
        [session_row(move="shrink", move_why="admin")], [session_row(memory_mib=1024)])})
    done = admin.run("desktop", "resize", "5", "1024", "--wait")
    assert done.stdout.splitlines() == ["alice: shrink (admin)", "alice has desktop 5, 1024 MiB on one."]
    assert admin.asked[0][1] == {"memory_mib": 1024}


def test_drain_says_who_goes_where(played):
    bob = dict(session_row(desktop=6), id=4, user="bob")
    admin = played({
        "POST /v1/servers/one/drain": [(200, {"draining": True})],
        "GET /v1/servers": servers(server_row(2, 2), server_row(2, 2), server_row(1, 2), server_row(0, 1),
                                   server_row(0, 0)),
        "GET /v1/sessions": sessions([moving("announce"), bob], [moving("detach"), bob],
                                     [dict(moving("prepare"), user="bob")], [])})
    done = admin.run("server", "drain", "one", "--wait")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "one: 2 users left, 2 desktops; alice goes to two (announce)",
        "one: 2 users left, 2 desktops; alice goes to two (detach)",
        "one: 1 user left, 2 desktops; bob goes to two (prepare)", "one: 0 users left, 1 desktop",
        "one: 0 users left, 0 desktops", "The server is empty."]


def test_drain_of_a_server_that_is_lost(played):
    admin = played({
        "POST /v1/servers/one/drain": [(200, {"draining": True})],
        "GET /v1/servers": servers(server_row(1, 1, state="lost", lost=True)),
        "GET /v1/sessions": sessions([session_row(state="disconnected")])})
    done = admin.run("server", "drain", "one", "--wait")
    assert done.returncode == 1 and "one still has 1 user and" in done.stderr
    assert "is lost" in done.stderr and "carrel server lost one --yes" in done.stderr


def test_drain_of_a_server_that_is_removed_meanwhile(played):
    admin = played({
        "POST /v1/servers/one/drain": [(200, {"draining": True})],
        "GET /v1/servers": servers(server_row(1, 1)) + [(200, {"servers": []})],
        "GET /v1/sessions": sessions([moving("announce")])})
    done = admin.run("server", "drain", "one", "--wait")
    assert done.returncode == 1 and "has been removed" in done.stderr


def test_status_says_what_the_next_login_moves(played):
    status = {"version": "0", "users": 3, "capacity_users": 16, "tier": 1, "tiers": 4, "size_mib": 1024,
              "threshold": 7, "reserve_mib": 1024, "kept_seats": 0, "queued": 0, "moving": 1, "standby": 1,
              "image": "i@1", "servers": [], "boots": [], "warnings": [],
              "next": {"size_mib": 1024, "server": "one", "waits": False, "handoff": "alice", "handoff_server": "two", "handoff_size_mib": 1024}}
    lines = played({"GET /v1/status": [(200, status)]}).run("status").stdout.splitlines()
    assert "next      alice's desktop goes to 1024 MiB on two, then a desktop of 1024 MiB on one" in lines
    assert "moving    1 user; \"carrel session list\" shows where to" in lines


def test_lists_show_where_to(played):
    admin = played({"GET /v1/sessions": sessions([moving("prepare")]), "GET /v1/desktops/9": [(200, {
        "id": 9, "state": "standby", "user": "", "session": 0, "server": "two", "memory_mib": 1024, "image": "i@1",
        "live": True, "vnc_host": "127.78.0.20", "vnc_port": 5909, "standby": True, "next_of": "alice", "move": "prepare",
        "move_why": "room", "next": 9, "next_server": "two", "next_memory_mib": 1024})]})
    assert admin.run("session", "list").stdout.splitlines()[1].endswith(
        "prepare (admin) to desktop 9, 1024 MiB on two")
    assert admin.run("desktop", "show", "9").stdout.splitlines() == [
        "desktop   9", "state     standby", "next of   alice", "server    two", "size      1024 MiB",
        "image     i@1", "shrinks   in place, if it can", "VNC at    127.78.0.20:5909",
        "move      prepare (room) to desktop 9, 1024 MiB on two"]
