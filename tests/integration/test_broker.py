# SPDX-License-Identifier: GPL-2.0-or-later
"""carreld with its real store and API; helpers and servers are played by the test."""
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess

import pytest

from fakes.site import ADDRESS, BUILD, IMAGE, Site, Stream

BOOT = [{"stage": "kernel", "ms": 900}, {"stage": "network", "ms": 2100, "bytes": 0}]


@pytest.fixture
def bare(tmp_path, certificate):
    """A site that has not been started."""
    site = Site(tmp_path, certificate)
    yield site
    site.end()


@pytest.fixture
def site(bare):
    bare.start()
    bare.add_server()
    return bare


def forward_of(site, client):
    return [key for key in site.netd.forwards if key[0] == client]


def test_login_to_ready_and_ledger(site):
    token, stream = site.login(boot=BOOT)
    ready = stream.wait("ready")
    assert ready["host"] == ADDRESS and ready["tls_name"] == "one"
    assert re.fullmatch("[A-Za-z0-9]{8}", ready["ticket"])
    desktop, vm = next((d, vm) for d, vm in site.server.desktops.items() if vm["user"])
    assert vm["user"] == "alice" and site.server.tickets[desktop] == ready["ticket"]
    assert site.netd.forwards[("127.77.0.101", ready["port"])] == ("127.78.0.10", vm["vnc_port"])
    stages = [data["stage"] for event, data in stream.seen if event == "stage"]
    assert "claiming" in stages and stages[-1] == "connecting"

    assert site.request("POST", "/v1/client/report", {"event": "first-frame", "ms": 100}, token)[0] == 204
    site.server.wait(lambda: desktop not in site.server.tickets)
    entry = json.loads(site.cli("ledger", "--json").stdout)["logins"][0]
    assert entry["user"] == "alice" and entry["seat"] == "52:54:00:77:00:01"
    assert [s["stage"] for s in entry["stages"]] == [
        "kernel", "network", "login", "authenticate", "place", "desktop", "volume", "claim", "ticket", "first-frame"]
    assert [s["ms"] for s in entry["stages"][:2]] == [900, 1200]
    assert "authenticate" in site.cli("ledger").stdout

    assert site.request("POST", "/v1/client/logout", token=token)[0] == 202
    assert stream.wait("ended")["code"] == "logout"
    assert stream.wait(None) is None
    site.server.wait(lambda: desktop not in site.server.desktops)
    site.netd.wait(lambda: not site.netd.forwards)
    for secret in (ready["ticket"], token, "wonderland"):
        assert secret not in site.log.read_text()
    assert token not in (site.folder / "state/carrel.db").read_bytes().decode("latin1")


def test_wrong_password_and_unknown_user_are_told_alike(site):
    answers = []
    for user, password in (("alice", "wrong"), ("nobody", "wrong")):
        _, stream = site.login(user, password)
        answers.append(stream.wait("refused"))
        assert stream.wait(None) is None
    assert answers[0] == answers[1] and answers[0]["code"] == "denied"
    assert not site.server.desktops or not any(vm["user"] for vm in site.server.desktops.values())


def test_third_failure_of_a_name_waits(site):
    for _ in range(2):
        _, stream = site.login("alice", "wrong")
        stream.wait("refused")
    asked = len(site.authd.asked)
    _, stream = site.login("alice", "wrong")
    _, other = site.login("bob", "builder", client="127.77.0.102")
    other.wait("ready")
    users = [request["user"] for request in site.authd.asked[asked:]]
    assert users[0] == "bob", "another PC's login does not wait for it"
    stream.wait("refused")


def test_authd_away(site):
    site.authd.close()
    _, stream = site.login()
    assert stream.wait("refused")["code"] == "unavailable"
    assert "carrel-authd" in site.cli("user", "list", status=1).stderr
    site.authd.open()
    site.wait_status(lambda s: not any("authd" in w for w in s["warnings"]))
    _, stream = site.login()
    stream.wait("ready")


def test_roaming_tells_the_first_viewer(site):
    first_token, first = site.login(client="127.77.0.101")
    session = first.wait("ready")["session"]
    _, second = site.login(client="127.77.0.102", seat="52:54:00:77:00:02")
    assert first.wait("moved")["message"]
    assert first.wait(None) is None
    ready = second.wait("ready")
    assert ready["session"] == session
    assert forward_of(site, "127.77.0.101") == [] and len(forward_of(site, "127.77.0.102")) == 1
    assert site.server.ops().count("volume-attach") == 1
    assert site.request("POST", "/v1/client/reconnect", token=first_token)[0] == 401
    assert Stream(site, first_token, "127.77.0.101").status == 401
    sessions = json.loads(site.cli("session", "list", "--json").stdout)["sessions"]
    assert [s["seat"] for s in sessions] == ["52:54:00:77:00:02"]


def test_closed_stream_disconnects_and_token_comes_back(site):
    token, stream = site.login()
    session = stream.wait("ready")["session"]
    stream.close()
    site.netd.wait(lambda: not site.netd.forwards)
    sessions = json.loads(site.cli("session", "list", "--json").stdout)["sessions"]
    assert [s["state"] for s in sessions] == ["disconnected"]
    assert Stream(site, token, "127.77.0.109").status == 401, "a token is good from its own PC only"
    again = Stream(site, token, "127.77.0.101")
    assert again.wait("ready")["session"] == session
    assert site.request("POST", "/v1/client/reconnect", token=token)[0] == 202
    assert again.wait("ready")["session"] == session


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_restart_adopts(site, sig):
    token, stream = site.login()
    ready = stream.wait("ready")
    desktops = set(site.server.desktops)
    site.netd.forwards[("127.77.0.150", 5900)] = ("127.78.0.10", 5999)
    status = site.stop(sig)
    assert status == (0 if sig == signal.SIGTERM else -9)
    assert set(site.server.desktops) >= desktops and site.netd.forwards
    site.start()
    site.wait_status(lambda s: s["servers"][0]["state"] == "up")
    assert Stream(site, token, "127.77.0.102").status == 401
    again = Stream(site, token, "127.77.0.101")
    back = again.wait("ready")
    assert back["session"] == ready["session"] and back["ticket"] != ready["ticket"]
    assert desktops <= set(site.server.desktops)
    assert site.server.ops().count("volume-attach") == 1
    site.netd.wait(lambda: forward_of(site, "127.77.0.150") == [])
    assert len(forward_of(site, "127.77.0.101")) == 1


def test_standby_desktop_is_anonymous_and_used(tmp_path, certificate):
    site = Site(tmp_path, certificate, standby=1)
    try:
        site.start()
        site.add_server()
        site.wait_status(lambda s: s["standby"] == 1)
        first = next(iter(site.server.desktops))
        assert site.server.desktops[first]["user"] == ""
        _, stream = site.login()
        stream.wait("ready")
        assert site.server.desktops[first]["user"] == "alice"
    finally:
        site.end()


def test_a_store_that_cannot_be_written_stops_carreld(site):
    token, stream = site.login()
    stream.wait("ready")
    before = dict(site.server.desktops)
    blocker = sqlite3.connect(site.folder / "state/carrel.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    asked = len(site.server.asked)
    site.request("POST", "/v1/client/logout", token=token)
    assert site.process.wait(10) == 1
    assert "store-failed" in site.log.read_text()
    assert site.server.asked[asked:] == [] and site.server.desktops == before
    blocker.rollback()
    blocker.close()
    site.process.stdout.close()
    site.start()
    Stream(site, token, "127.77.0.101").wait("ready")


def test_reconnect_right_after_a_restart(site):
    token, stream = site.login()
    session = stream.wait("ready")["session"]
    site.stop()
    site.start()
    site.wait_status(lambda s: s["servers"][0]["state"] == "up")
    # The viewer's order may come before its stream is open again.
    assert site.request("POST", "/v1/client/reconnect", token=token)[0] == 202
    assert Stream(site, token, "127.77.0.101").wait("ready")["session"] == session


def test_too_many_waiting_logins_of_one_pc(site):
    site.authd.close()
    site.wait_status(lambda s: any("authd" in w for w in s["warnings"]))
    site.authd.answer = lambda request, connection: None
    site.authd.open()
    site.wait_status(lambda s: not any("authd" in w for w in s["warnings"]))
    body = {"user": "alice", "password": "wonderland", "seat": ""}
    answers = [site.request("POST", "/v1/client/login", body) for _ in range(17)]
    assert [status for status, _ in answers] == [202] * 16 + [429]
    refused = Stream(site, answers[4][1]["login"], "127.77.0.101").wait("refused")
    assert refused["code"] == "too-many"
    assert site.request("POST", "/v1/client/login", body, client="127.77.0.102")[0] == 202


def test_unknown_desktop_on_a_server_is_destroyed(bare):
    bare.server.desktops[77] = {"vnc_port": 5977, "memory_mib": 1024, "user": "", "volume": None}
    bare.start()
    bare.add_server()
    bare.server.wait(lambda: 77 not in bare.server.desktops)


def test_missing_forwards_are_made_again(site):
    _, stream = site.login()
    ready = stream.wait("ready")
    site.netd.close()
    site.wait_status(lambda s: any("netd" in w for w in s["warnings"]))
    site.netd.forwards.clear()
    site.netd.open()
    site.netd.wait(lambda: ("127.77.0.101", ready["port"]) in site.netd.forwards)


def test_a_forward_to_another_desktop_is_set_right(site):
    """As a crash in the middle of a hand-off may leave it: the key is the session's, the way is not."""
    _, stream = site.login()
    key = ("127.77.0.101", stream.wait("ready")["port"])
    right = site.netd.forwards[key]
    site.netd.close()
    site.wait_status(lambda s: any("netd" in w for w in s["warnings"]))
    asked = len(site.netd.asked)
    site.netd.forwards[key] = ("127.78.0.10", 5999)
    site.netd.open()
    site.netd.wait(lambda: site.netd.forwards.get(key) == right)
    assert [request["op"] for request in site.netd.asked[asked:]] == ["setup", "forward-list", "forward-del", "forward-add"]


def test_set_up_is_asked_for_again(site):
    """The interface towards the servers has its address some time after carreld has begun."""
    site.netd.close()
    site.wait_status(lambda s: any("netd" in w for w in s["warnings"]))
    site.netd.lacks_network = True
    asked = len(site.netd.asked)
    site.netd.open()
    site.netd.wait(lambda: len(site.netd.asked) >= asked + 2)
    site.netd.lacks_network = False
    site.netd.wait(lambda: site.netd.asked[-1]["op"] == "forward-list")
    assert {request["op"] for request in site.netd.asked[asked:-1]} == {"setup"}


def test_right_forwards_are_left_alone(site):
    _, stream = site.login()
    stream.wait("ready")
    site.netd.close()
    site.wait_status(lambda s: any("netd" in w for w in s["warnings"]))
    asked = len(site.netd.asked)
    site.netd.forwards[("127.77.0.150", 5900)] = ("127.78.0.10", 5999)
    site.netd.open()
    site.netd.wait(lambda: forward_of(site, "127.77.0.150") == [])
    assert [request["op"] for request in site.netd.asked[asked:]] == ["setup", "forward-list", "forward-del"]


def test_server_unreachable(bare):
    bare.server.reachable = False
    bare.start()
    bare.cli("server", "add", "one", "qemu+tls://one/system")
    status = bare.wait_status(lambda s: any("no route" in w for w in s["warnings"]))
    assert status["servers"][0]["state"] == "down"
    assert "no route to the server" in bare.cli("status").stdout
    _, stream = bare.login()
    assert stream.wait("refused")["code"] == "no-server"


def test_hung_worker_is_replaced(tmp_path, certificate):
    site = Site(tmp_path, certificate, call_timeout=1)
    try:
        site.start()
        site.add_server()
        site.server.hanging.add("volume-create")
        _, stream = site.login()
        site.server.wait(lambda: "volume-create" in site.server.ops())
        site.server.hanging.clear()
        site.wait_status(lambda s: s["servers"][0]["state"] != "up")
        assert "worker-hung" in site.log.read_text()
        site.wait_status(lambda s: s["servers"][0]["state"] == "up")
        _, stream = site.login("bob", "builder", client="127.77.0.102")
        stream.wait("ready", 15)
    finally:
        site.end()


def test_failed_claim_is_told(site):
    site.server.claim_answer = ("volume-damaged", "e2fsck gave 4")
    _, stream = site.login()
    assert stream.wait("refused", 15)["code"] in ("volume-failed", "volume-damaged")


def test_a_lost_image_is_sent_again(site):
    site.server.images.clear()
    _, stream = site.login()
    site.server.wait(lambda: IMAGE in site.server.images)
    stream.close()
    _, stream = site.login("bob", "builder", client="127.77.0.102")
    stream.wait("ready", 15)


def test_reload_refuses_a_mistake(site):
    good = site.conf.read_text()
    site.conf.write_text(good.replace("standby = 0", "standby = many"))
    # The command reads the same file, to find carreld: the mistake is told either way.
    error = site.cli("reload", status=1).stderr
    assert "standby" in error and str(site.conf) in error
    site.process.send_signal(signal.SIGHUP)
    assert "[desktop] standby" in site.wait_log("reload-failed")
    site.conf.write_text(good.replace("standby = 0", "standby = 2"))
    site.process.send_signal(signal.SIGHUP)
    site.wait_status(lambda s: s["standby"] == 2)
    assert json.loads(site.cli("status", "--json").stdout)["servers"][0]["state"] == "up"


def test_start_with_a_mistake_says_file_and_line(bare):
    bare.conf.write_text(bare.conf.read_text() + "\n[boot]\nspeed = 9\n")
    done = subprocess.run([bare.folder / "bin/carreld", "--config", bare.conf], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(r"carrel\.conf:\d+: \[boot\] has no key \"speed\"", done.stderr)


def test_start_without_a_certificate_says_which(bare):
    (bare.folder / "pki/server.crt").unlink()
    done = subprocess.run([bare.folder / "bin/carreld", "--config", bare.conf], capture_output=True, text=True)
    assert done.returncode == 1 and "server.crt" in done.stderr


def test_each_door_has_its_own_paths(site):
    assert site.request("GET", "/v1/client/hello") == (
        200, {"site": "Carrel", "language": "en", "version": "0.1.0"})
    assert site.request("GET", "/v1/status")[0] == 404
    assert site.request("POST", "/v1/boot/report", {"mac": "52:54:00:77:00:01", "stage": "root", "ms": 1})[0] == 404
    report = http.client.HTTPConnection(ADDRESS, site.report_port, timeout=10)
    for method, path, expected in (("GET", "/v1/client/hello", 404), ("GET", "/v1/sessions", 404),
                                   ("GET", "/v1/boot/report", 405)):
        report.request(method, path)
        response = report.getresponse()
        response.read()
        assert response.status == expected, path
    report.request("POST", "/v1/boot/report", json.dumps(
        {"mac": "52:54:00:77:00:0A", "stage": "failed", "ms": 12345, "error": "CARREL-B04"}))
    response = report.getresponse()
    response.read()
    assert response.status == 204
    boot = json.loads(site.cli("status", "--json").stdout)["boots"][0]
    assert boot["mac"] == "52:54:00:77:00:0a" and boot["error"] == "CARREL-B04"
    assert "CARREL-B04" in site.cli("status").stdout
    curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", site.folder / "run/api.sock"]
    assert subprocess.run(curl + ["http://x/v1/client/hello"], capture_output=True, text=True).stdout == "404"
    assert os.stat(site.folder / "run/api.sock").st_mode & 0o777 == 0o660


@pytest.mark.parametrize("raw,say", [
    ("{", "not JSON"), ("[]", "not a JSON object"), ('{"user":"a"}', "missing"),
    ('{"user":"a","password":"b","seat":"","x":1}', "not known"),
    ('{"user":"a","password":"b","seat":"zz"}', "MAC"), ('{"user":7,"password":"b","seat":""}', "user"),
    ('{"user":"%s","password":"b","seat":""}' % ("a" * 96), "95 bytes"),
    ('{"user":"a\\u0000b","password":"b","seat":""}', "JSON"),
    ('{"user":"a","password":"b","seat":"","boot":[{"stage":"warp","ms":1}]}', "boot"),
])
def test_bad_logins_are_refused_with_a_reason(shared, raw, say):
    status, answer = shared.request("POST", "/v1/client/login", raw=raw)
    assert status == 400 and say in answer["message"] and answer["code"] == "bad-request"


@pytest.fixture(scope="module")
def shared(tmp_path_factory, certificate):
    """One site for tests that change nothing."""
    site = Site(tmp_path_factory.mktemp("shared"), certificate)
    site.start()
    site.add_server()
    yield site
    site.end()


def test_long_body_and_bad_token(shared):
    assert shared.request("POST", "/v1/client/login", raw="x" * 70000)[0] == 413
    assert shared.request("POST", "/v1/client/logout", token="0" * 64)[0] == 401
    assert shared.request("POST", "/v1/client/logout")[0] == 401
    assert shared.request("PUT", "/v1/client/hello")[0] == 405


def test_cli_users(shared):
    shared.cli("user", "add", "이영희", "--full-name", "이영희", "--password-stdin", stdin="아주 긴 비밀번호\n")
    assert shared.authd.users["이영희"][0] == "아주 긴 비밀번호"
    assert "already" in shared.cli("user", "add", "이영희", "--password-stdin", status=1, stdin="x\n").stderr
    shared.cli("user", "passwd", "이영희", "--password-stdin", stdin="neu\n")
    assert shared.authd.users["이영희"][0] == "neu"
    lines = shared.cli("user", "list").stdout.splitlines()
    # The UID column begins in the same terminal cell in each line, wide letters counting two.
    ends = {sum(2 if ord(c) > 0x1100 else 1 for c in line) for line in lines}
    assert len(ends) == 1, lines
    assert {u["user"] for u in json.loads(shared.cli("user", "list", "--json").stdout)["users"]} >= {"alice", "이영희"}
    shared.cli("user", "del", "이영희")
    assert "no user" in shared.cli("user", "del", "이영희", status=1).stderr


def test_cli_servers_and_errors(shared):
    assert re.search(r"^next +a desktop of 2048 MiB on one$", shared.cli("status").stdout, re.M)
    table = shared.cli("server", "list").stdout
    assert re.search(r"^one +up +no", table, re.M)
    assert "already" in shared.cli("server", "add", "one", "qemu+tls://one/system", status=1).stderr
    assert "libvirt URI" in shared.cli("server", "add", "two", "nonsense", status=1).stderr
    assert "name" in shared.cli("server", "add", "t wo", "qemu+tls://x/system", status=1).stderr
    shared.cli("server", "drain", "one")
    assert re.search(r"^one +up +yes", shared.cli("server", "list").stdout, re.M)
    shared.cli("server", "drain", "one", "--off")
    assert "no server" in shared.cli("server", "remove", "nine", status=1).stderr
    assert "no session" in shared.cli("session", "end", "99", status=1).stderr
    assert shared.cli("desktop", "list").stdout.startswith("ID")
    assert "no command" in shared.cli("dance", status=2).stderr
    assert "session end ID" in shared.cli("session", "end", status=2).stderr
    assert shared.cli("session", "end", "--help").stdout.startswith("Usage: carrel session end ID")


def test_server_removed(bare):
    bare.start()
    bare.add_server()
    bare.cli("server", "drain", "one")
    bare.server.wait(lambda: not bare.server.desktops)
    bare.cli("server", "remove", "one")
    assert json.loads(bare.cli("server", "list", "--json").stdout)["servers"] == []
    rows = sqlite3.connect(bare.folder / "state/carrel.db").execute("SELECT count(*) FROM server").fetchone()
    assert rows == (0,)


@pytest.mark.parametrize("user", [True, False])
def test_lost_server_is_removed_when_no_user_is_on_it(tmp_path, certificate, user):
    site = Site(tmp_path, certificate, standby=1)
    try:
        site.start()
        site.add_server()
        site.wait_status(lambda s: s["standby"] == 1)
        assert "1 others" in site.cli("server", "remove", "one", status=1).stderr
        if user:
            _, stream = site.login()
            stream.wait("ready")
        site.server.close()
        site.wait_status(lambda s: s["servers"][0]["state"] == "down")
        answer = site.cli("server", "remove", "one", status=1 if user else 0)
        assert not user or ("1 desktops of users" in answer.stderr and "carrel server lost one" in answer.stderr)
        assert bool(json.loads(site.cli("server", "list", "--json").stdout)["servers"]) == user
    finally:
        site.end()


def test_admin_ends_a_session(site):
    _, stream = site.login()
    session = stream.wait("ready")["session"]
    assert "carrel session end" in site.cli("user", "del", "alice", status=1).stderr
    site.cli("session", "end", str(session))
    assert stream.wait("ended")["code"] == "admin"
    assert json.loads(site.cli("session", "list", "--json").stdout)["sessions"] == []


def test_cli_without_carreld(bare):
    error = bare.cli("status", status=1).stderr
    assert "carreld is not running" in error and "start it" in error


def test_config_check(bare):
    assert bare.cli("config", "check").stdout == "ok\n"
    bad = bare.folder / "bad.conf"
    bad.write_text("[network]\nclient_range = 10.77.0.1-10.77.0.9\n[desktop]\nmax_mib = 3000\n"
                   "[network]\nclient_address = 10.77.0.1/24\n")
    lines = bare.cli("config", "check", str(bad), status=1).stdout.splitlines()
    assert lines[0].startswith("%s:2: [network] client_range" % bad) and lines[1].startswith("%s:4: " % bad)
    assert [p["line"] for p in json.loads(bare.cli("config", "check", str(bad), "--json", status=1).stdout)["problems"]] == [2, 4]
    bad.write_text("[network]\nclient_interface = absent0\nserver_interface = absent1\n")
    lines = bare.cli("config", "check", str(bad), status=1).stdout.splitlines()
    assert len(lines) == 2 and lines[0].startswith("%s: [network] client_address could not be found out: "
                                                   "this machine has no interface absent0, it has: " % bad)
    assert "server_network could not be found out" in lines[1] and "absent1" in lines[1]
    bad.write_text("[server]\nlost_after = 5\nfence = room-power 'off\n")
    line = bare.cli("config", "check", str(bad), status=1).stdout
    assert line.startswith("%s:3: [server] fence = room-power 'off: allowed is a command" % bad)
    assert re.search(r"^broker +port +%d +file$" % bare.port, bare.cli("config", "show").stdout, re.M)
    assert json.loads(bare.cli("config", "show", "--json").stdout)["broker"]["port"] == bare.port
    assert (BUILD / "carrel").exists()
