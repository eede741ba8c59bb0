# SPDX-License-Identifier: GPL-2.0-or-later
"""Seats with the real carreld and the `carrel` command: they appear by themselves, get names, are
held, tried on, moved."""
import http.client
import json
import socket
import sqlite3

import pytest

from fakes.site import ADDRESS, Site

pytestmark = pytest.mark.quick
MAC = "52:54:00:77:00:%02x"
TRIED = "desktop-lite@20260401.1"


@pytest.fixture
def make_site(tmp_path, certificate):
    sites = []

    def make(**options):
        sites.append(Site(tmp_path, certificate, **options))
        return sites[0].start()
    yield make
    for site in sites:
        site.end()


def report(site, number, stage="network", client="127.77.0.101"):
    connection = http.client.HTTPConnection(ADDRESS, site.report_port, timeout=20, source_address=(client, 0))
    connection.request("POST", "/v1/boot/report", json.dumps({"mac": MAC % number, "stage": stage, "ms": 5}))
    assert connection.getresponse().status == 204
    connection.close()


def seats(site, *options):
    return json.loads(site.cli("seat", "list", "--json", *options).stdout)["seats"]


def short(site, *options):
    return [(s["mac"][-2:], s["name"], s["state"]) for s in seats(site, *options)]


def test_seats_appear_by_themselves_and_stay(make_site):
    site = make_site()
    assert seats(site) == []
    for stage in ("network", "fetch", "viewer"):
        report(site, 1, stage)
    report(site, 1, client="127.77.0.102")
    site.add_server()
    _, stream = site.login(seat=(MAC % 10).upper(), client="127.77.0.110")
    stream.wait("ready")
    one, ten = seats(site)
    assert (one["mac"], one["address"], one["boots"], one["state"]) == (MAC % 1, "127.77.0.102", 2, "guest")
    assert (ten["mac"], ten["boots"], ten["user"]) == (MAC % 10, 0, "alice")
    assert one["first_seen"] and one["last_seen"] >= one["first_seen"]
    site.cli("seat", "name", MAC % 1, "room-301/1")
    site.stop()
    site.start()
    assert short(site) == [("01", "room-301/1", "known"), ("0a", "", "guest")]
    assert seats(site)[0]["boots"] == 2
    table = site.cli("seat", "list").stdout.splitlines()
    assert table[0].split()[:4] == ["NAME", "MAC", "STATE", "USER"]
    assert table[1].split()[:3] == ["room-301/1", MAC % 1, "known"]
    assert " " + MAC % 10 + " " in site.cli("session", "list").stdout
    site.cli("seat", "name", MAC % 10, "room-301/10")
    assert " room-301/10 " in site.cli("session", "list").stdout
    shown = site.cli("seat", "show", "room-301/1").stdout
    assert "MAC        " + MAC % 1 in shown and "boots      2" in shown
    assert len(sqlite3.connect(site.folder / "state/carrel.db").execute("SELECT * FROM seat").fetchall()) == 2


def test_names_rooms_and_mistakes(make_site):
    site = make_site()
    cli = site.cli
    for number, name in ((1, "room-301/1"), (2, "room-301/2"), (3, "room-302/1")):
        said = cli("seat", "name", MAC % number, name).stdout
        assert said == "%s (%s) is named so\n" % (name, MAC % number)
    assert short(site, "--room", "room-301") == [("01", "room-301/1", "known"), ("02", "room-301/2", "known")]
    before = seats(site)
    assert "is the name of " + MAC % 1 in cli("seat", "name", MAC % 9, "room-301/1", status=1).stderr
    assert "write ROOM/NAME" in cli("seat", "name", MAC % 9, "window", status=1).stderr
    assert "is a range" in cli("seat", "name", MAC % 9, "room-301/1-4", status=1).stderr
    assert "is no seat" in cli("seat", "name", "alice", "room-301/9", status=1).stderr
    assert "can be several" in cli("seat", "name", "room-301/1-2", "room-301/9", status=1).stderr
    assert "no seat room-301/7" in cli("seat", "show", "room-301/7", status=1).stderr
    assert "ends before it begins" in cli("seat", "show", "room-301/4-1", status=1).stderr
    assert "no seat room-309/1-4" in cli("seat", "forget", "room-309/1-4", status=1).stderr
    assert "--room is no option of seat show" in cli("seat", "show", "x", "--room", "y", status=2).stderr
    assert seats(site) == before
    # A PC is replaced: the name goes over, the old PC stays known without one.
    said = cli("seat", "move", MAC % 4, "room-301/1").stdout.splitlines()
    assert said == [MAC % 1 + " has no name any more", "room-301/1 (%s) is named so" % (MAC % 4)]
    assert short(site) == [("04", "room-301/1", "known"), ("02", "room-301/2", "known"),
                           ("03", "room-302/1", "known"), ("01", "", "known")]
    said = cli("seat", "forget", "room-301/*", MAC % 1).stdout
    assert said.count("is forgotten") == 3
    assert short(site) == [("03", "room-302/1", "known")]


def test_unknown_pcs_are_held(make_site):
    site = make_site(more="[seats]\nunknown = hold\n")
    site.add_server()

    def attempt(seat):
        return site.request("POST", "/v1/client/login", {"user": "alice", "password": "wonderland", "seat": seat})
    for seat in (MAC % 1, ""):
        status, answer = attempt(seat)
        assert status == 403 and answer["code"] == "held"
        assert (seat or "without a MAC address") in answer["message"] and "127.77.0.101" in answer["message"]
    assert "login-held" in site.log.read_text()
    assert site.authd.ops() == [], "no password is looked at"
    assert short(site) == [("01", "", "held")]
    assert "warning: PCs that wait for approval: 1; " in site.cli("status").stdout
    hello = site.request("POST", "/v1/client/hello", {"seat": MAC % 1})[1]
    assert "waits for approval: " + MAC % 1 in hello["held"]
    assert site.cli("seat", "approve", MAC % 1).stdout == MAC % 1 + " is approved\n"
    assert "wait for approval" not in site.cli("status").stdout
    assert "held" not in site.request("POST", "/v1/client/hello", {"seat": MAC % 1})[1]
    _, stream = site.login()
    stream.wait("ready")
    assert "no seat " + MAC % 2 in site.cli("seat", "approve", MAC % 2, status=1).stderr
    # Naming approves.
    site.cli("seat", "name", MAC % 2, "room/2")
    assert attempt(MAC % 2)[0] == 202
    site.cli("seat", "forget", MAC % 2)
    assert attempt(MAC % 2)[0] == 403
    site.conf.write_text(site.conf.read_text().replace("unknown = hold", "unknown = guest"))
    site.cli("reload")
    assert attempt(MAC % 2)[0] == 202 and ("02", "", "guest") in short(site)
    site.conf.write_text(site.conf.read_text().replace("unknown = guest", "unknown = ask"))
    assert "[seats] unknown = ask: allowed is one of guest|hold" in site.cli("config", "check", status=1).stdout


def image_at(site, number):
    desktops = json.loads(site.cli("desktop", "list", "--json").stdout)["desktops"]
    sessions = json.loads(site.cli("session", "list", "--json").stdout)["sessions"]
    desktop = next(s["desktop"] for s in sessions if s["seat"] == MAC % number)
    return next(d["image"] for d in desktops if d["id"] == desktop)


def test_an_image_is_tried_on_seats_by_name(make_site):
    site = make_site()
    site.authd.users.update({"u%d" % i: ("password", "", 21000 + i) for i in range(10)})
    site.add_server()
    site.publish(TRIED)
    site.cli("image", "publish", TRIED)
    for number in (1, 2, 3, 4):
        site.cli("seat", "name", MAC % number, "room-301/%d" % number)
    assert "no seat room-302/1-4" in site.cli("image", "try", TRIED, "--seats", "room-302/1-4", status=1).stderr
    assert '"u1" is no seat' in site.cli("image", "try", TRIED, "--seats", "room-301/1,u1", status=2).stderr
    assert "--seats is no option" in site.cli("image", "promote", TRIED, "--seats", "room-301/1", status=2).stderr
    site.cli("image", "try", TRIED, "--seats", "room-301/1-2," + MAC % 9)
    assert "room-301/1-2" in site.cli("image", "status").stdout

    def login(number):
        _, stream = site.login("u%d" % number, "password", client="127.77.0.%d" % (110 + number), seat=MAC % number)
        stream.wait("ready")
        return image_at(site, number)
    assert login(1) == TRIED and login(3) != TRIED and login(9) == TRIED
    # The PC at place 2 is replaced by another: the name decides, also after a restart.
    site.cli("seat", "move", MAC % 5, "room-301/2")
    site.stop()
    site.start()
    site.wait_status(lambda s: s["servers"][0]["state"] == "up")
    assert login(5) == TRIED and login(2) != TRIED


def test_groups_have_seats_by_name(make_site):
    site = make_site()
    site.add_server()
    site.cli("seat", "name", MAC % 1, "room/1")
    assert "no seat room/2" in site.cli("group", "add", "g", "room/2", status=1).stderr
    site.cli("group", "add", "small", "room/*", "--max", "1024")
    _, stream = site.login(seat=MAC % 1)
    stream.wait("ready")
    sessions = json.loads(site.cli("session", "list", "--json").stdout)["sessions"]
    assert sessions[0]["memory_mib"] == 1024
    # What is gone can still be taken out.
    site.cli("group", "add", "small", "room/1")
    site.cli("seat", "forget", "room/1")
    site.cli("group", "remove", "small", "room/1")
    assert site.cli("group", "show", "small").stdout.split()[-1] == "room/*"


def test_the_form_of_a_seat_has_its_language(make_site):
    site = make_site(more="[site]\nlanguage = en\n")

    def hello(number):
        status, answer = site.request("POST", "/v1/client/hello", {"seat": MAC % number})
        assert status == 200 and answer["site"] == "Carrel"
        return answer["language"]
    assert hello(1) == "en" and short(site) == [("01", "", "guest")], "a viewer that starts is seen"
    for number in (1, 2):
        site.cli("seat", "name", MAC % number, "room/%d" % number)
    assert site.cli("seat", "set", "room/1-2", "language=ko").stdout.count("is set") == 2
    assert hello(1) == "ko" and hello(2) == "ko" and hello(3) == "en"
    assert site.request("GET", "/v1/client/hello")[1]["language"] == "en"
    assert "language   ko" in site.cli("seat", "show", "room/1").stdout
    assert "allowed is one of en|ko" in site.cli("seat", "set", "room/1", "language=de", status=1).stderr
    assert '"colour=red" is no setting' in site.cli("seat", "set", "room/1", "colour=red", status=2).stderr
    # Settings are the place's.
    site.cli("seat", "move", MAC % 4, "room/1")
    site.cli("seat", "set", "room/2", "language=")
    site.stop()
    site.start()
    assert [hello(n) for n in (1, 2, 4)] == ["en", "en", "ko"]
    assert site.request("POST", "/v1/client/hello", {"seat": "zz"})[0] == 400


def test_a_seat_has_its_mode_of_the_screen(make_site):
    site = make_site()

    def hello(number, mode):
        status, answer = site.request("POST", "/v1/client/hello", {"seat": MAC % number, "mode": mode})
        assert status == 200
        return answer.get("screen")
    for number in (1, 2):
        site.cli("seat", "name", MAC % number, "room/%d" % number)
    assert hello(1, "1280x800@75") is None and hello(2, "") is None
    site.cli("seat", "set", "room/1-2", "screen=1920x1080@60", "language=ko")
    assert hello(1, "1280x800@75") == "1920x1080@60"
    shown = site.cli("seat", "show", "room/1").stdout
    assert "screen     1920x1080@60" in shown and "shows      1280x800@75: the screen has no such mode" in shown
    hello(1, "1920x1080@60")
    assert "shows      1920x1080@60\n" in site.cli("seat", "show", "room/1").stdout
    assert "shows" not in site.cli("seat", "show", "room/2").stdout
    assert [s["shown"] for s in seats(site)] == ["1920x1080@60", ""]
    hello(1, "\" x")
    assert seats(site)[0]["shown"] == "", "what is no mode is not kept"
    for bad in ("1920", "1920x1080i", "9x9", "1920x1080@999", "auto", "x" * 900):
        assert "1920x1080@60, or preferred" in site.cli("seat", "set", "room/1", "screen=" + bad, status=1).stderr
    assert {s["screen"] for s in seats(site)} == {"1920x1080@60"}
    site.cli("seat", "set", "room/1", "screen=preferred")
    assert hello(1, "") is None and seats(site)[0]["screen"] == ""


def test_a_seat_has_its_keyboard(make_site):
    site = make_site()

    def hello(number):
        status, answer = site.request("POST", "/v1/client/hello", {"seat": MAC % number})
        assert status == 200
        return answer.get("keyboard")
    for number in (1, 2):
        site.cli("seat", "name", MAC % number, "room/%d" % number)
    site.cli("seat", "set", "room/1", "keyboard=de(nodeadkeys)")
    assert hello(1) == "de(nodeadkeys)" and hello(2) is None
    assert "keyboard   de(nodeadkeys)\n" in site.cli("seat", "show", "room/1").stdout
    assert [s["keyboard"] for s in seats(site)] == ["de(nodeadkeys)", ""]
    for bad in ("de(", "DE", "us,kr", "../us", "us -option x", "한국", "us(a)(b)", "u", "x" * 900):
        said = site.cli("seat", "set", "room/1-2", "keyboard=" + bad, status=1).stderr
        assert 'keyboard = "%s"' % bad in said and "kr(kr104) or de(nodeadkeys), or nothing" in said
    assert "line 2: keyboard = " in site.cli("seat", "import", "-", stdin="mac,name,keyboard\n%s,room/3,D\n" % (MAC % 3),
                                             status=1).stderr
    assert [s["keyboard"] for s in seats(site)] == ["de(nodeadkeys)", ""]
    site.cli("seat", "import", "-", stdin="mac,name,keyboard\n%s,room/2,kr\n" % (MAC % 2))
    site.stop()
    site.start()
    assert hello(1) == "de(nodeadkeys)" and hello(2) == "kr"
    site.cli("seat", "set", "room/2", "keyboard=")
    assert hello(2) is None


def test_a_desktop_is_told_the_keyboard_of_its_seat(make_site):
    """Before the session starts, and again wherever its user goes."""
    site = make_site()
    site.add_server()
    for number in (1, 2, 3):
        site.cli("seat", "name", MAC % number, "room/%d" % number)
    site.cli("seat", "set", "room/1", "keyboard=de")

    def heard():
        return [a["message"].get("keyboard", a["message"]["op"]) for a in site.server.asked
                if a["op"] == "agent-send" and a["message"]["op"] in ("keyboard", "claim")]

    def sit(number):
        _, stream = site.login(seat=MAC % number, client="127.77.0.10%d" % number)
        stream.wait("ready")
    sit(1)
    site.server.wait(lambda: heard() == ["de", "claim", "de"])
    sit(2)  # which has none: the image's own
    site.server.wait(lambda: heard() == ["de", "claim", "de", ""])
    site.cli("seat", "set", "room/3", "keyboard=fr")
    site.server.keyboard_answer = ("keyboard", "this image has no such layout")
    sit(3)
    site.server.wait(lambda: heard()[-1] == "fr")
    site.wait_log("keyboard=fr image=desktop-lite@")
    note = "its keyboard has no effect in desktops of desktop-lite@"
    assert note in site.cli("seat", "show", "room/3").stdout
    assert note not in site.cli("seat", "show", "room/1-2").stdout
    assert seats(site)[2]["keyboard_missing"].startswith("desktop-lite@")
    # The session goes on all the same, and the note is of that keyboard alone.
    assert [s["state"] for s in json.loads(site.cli("session", "list", "--json").stdout)["sessions"]] == ["connected"]
    site.server.keyboard_answer = None
    site.cli("seat", "set", "room/3", "keyboard=kr")
    assert note not in site.cli("seat", "show", "room/3").stdout
    # An agent that is asked anew before it has answered says nothing about its image.
    site.cli("seat", "set", "room/2", "keyboard=kr")
    site.server.keyboard_answer = ("state", "another keyboard was asked for meanwhile")
    sit(2)
    site.server.wait(lambda: heard()[-1] == "kr")
    site.server.keyboard_answer = None
    # One that has it now.
    site.cli("seat", "set", "room/3", "keyboard=fr")
    assert note in site.cli("seat", "show", "room/3").stdout
    sit(3)
    site.wait_status(lambda _: note not in site.cli("seat", "show", "room/1-3").stdout)


def test_pcs_switch_off_when_told_or_by_policy(make_site):
    site = make_site()
    site.add_server()
    site.authd.users["u1"] = ("password", "", 21001)

    def power(number):
        return site.request("POST", "/v1/client/hello", {"seat": MAC % number})[1].get("power")

    def logs_out(number):
        client = "127.77.0.%d" % (110 + number)
        token, stream = site.login("u1", "password", client=client, seat=MAC % number)
        stream.wait("ready")
        refused = site.cli("seat", "poweroff", "room/1-2", status=1).stderr
        assert "u1 sits at room/%d" % number in refused and "carrel session end u1" in refused
        assert site.request("POST", "/v1/client/logout", token=token, client=client)[0] == 202
        stream.wait("ended")
    for number in (1, 2, 3):
        report(site, number)
        site.cli("seat", "name", MAC % number, "room/%d" % number)
    logs_out(1)
    assert [power(n) for n in (1, 2, 3)] == [None, None, None]
    assert site.cli("seat", "poweroff", "room/1-2").stdout.count("goes off within a minute") == 2
    site.cli("seat", "reboot", "room/3")
    assert [power(n) for n in (1, 2, 3)] == ["off", "off", "reboot"]
    for number in (1, 2, 3):
        report(site, number)
    assert [power(n) for n in (1, 2, 3)] == [None, None, None], "they have booted"
    text = site.conf.read_text()
    site.conf.write_text(text + "[seats]\npower_off = session\n")
    site.cli("reload")
    logs_out(2)
    assert [power(n) for n in (1, 2, 3)] == [None, "off", None]
    site.conf.write_text(text + "[seats]\npower_off = late\n")
    assert "power_off = late: allowed is one of never|session, or a time of the day" in site.cli(
        "config", "check", status=1).stdout


def test_pcs_are_knocked_at_when_there_is_something_new(make_site):
    """A packet to the PC's address, at the UDP port of the broker's number, from the broker's address."""
    site = make_site()
    wires = {}
    for number in (1, 2):
        wires[number] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wires[number].bind(("127.77.0.%d" % (120 + number), site.port))
        wires[number].settimeout(5)
        site.request("POST", "/v1/client/hello", {"seat": MAC % number}, client="127.77.0.%d" % (120 + number))

    def knocked(number):
        text, source = wires[number].recvfrom(100)
        return text == b"carrel knock\n" and source[0] == ADDRESS
    for words in (("name", MAC % 1, "room/1"), ("set", "room/1", "language=ko"), ("approve", "room/1"),
                  ("poweroff", "room/1"), ("reboot", MAC % 1)):
        site.cli("seat", *words)
        assert knocked(1), words
    site.cli("seat", "name", MAC % 2, "room/2")
    assert knocked(2)
    site.cli("seat", "reboot", "room/1-2")
    assert knocked(1) and knocked(2)
    for wire in wires.values():  # each was told as often as it had to be
        wire.setblocking(False)
        with pytest.raises(BlockingIOError):
            wire.recv(100)
        wire.close()


def test_import_and_export(make_site, tmp_path):
    site = make_site()
    file = tmp_path / "seats.csv"
    rows = [(MAC % n).upper().replace(":", "-") + ";room-301/%d" % n for n in range(1, 31)]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(["MAC;Name"] + rows + [""]).encode())
    said = site.cli("seat", "import", str(file), "--dry-run").stdout
    assert said == "Nothing was changed; the file has 30 new, 0 changed, 0 as before.\n"
    assert seats(site) == []
    assert site.cli("seat", "import", str(file)).stdout == "Seats: 30 new, 0 changed, 0 as before.\n"
    assert [s["name"] for s in seats(site)] == ["room-301/%d" % n for n in range(1, 31)]
    exported = site.cli("seat", "export").stdout
    assert exported.splitlines()[:2] == ["mac,name,language,channel,kernel,screen,keyboard", MAC % 1 + ",room-301/1,,,,,"]
    assert len(exported.splitlines()) == 31
    changed = exported.replace("/1,", "/x,").replace("/2,", "/1,ko").replace("/x,", "/2,")
    done = json.loads(site.cli("seat", "import", "-", "--json", stdin=changed).stdout)
    assert done == {"added": 0, "changed": 2, "same": 28}
    assert short(site)[0] == ("02", "room-301/1", "known") and seats(site)[0]["language"] == "ko"
    # A file without the column leaves languages as they are.
    site.cli("seat", "import", "-", stdin="mac,name\n" + MAC % 2 + ",room-301/1\n")
    assert seats(site)[0]["language"] == "ko"
    # All settings go out and come in as they are.
    site.cli("seat", "set", "room-301/3", "channel=testing", "kernel=nomodeset acpi=off",
             "keyboard=de(nodeadkeys)")
    all_set = site.cli("seat", "export").stdout
    assert MAC % 3 + ',room-301/3,,testing,"nomodeset acpi=off",,de(nodeadkeys)\n' in all_set
    assert json.loads(site.cli("seat", "import", "-", "--json", stdin=all_set).stdout)["changed"] == 0
    # What was exported is the way back.
    site.cli("seat", "import", "-", stdin=exported)
    assert short(site)[0] == ("01", "room-301/1", "known")
    assert not any(seat["language"] or seat["kernel"] for seat in seats(site))
    for text, problem in (("mac,name\n%s,room/1\nx,room/2\n" % (MAC % 99), 'seats.csv: line 3: "x" is no MAC address'),
                          ("mac,name\n%s,room/1\n%s\n" % (MAC % 99, MAC % 98), "seats.csv: line 3: there are 1 fields"),
                          ("mac,name\n%s,room-301/1\n" % (MAC % 99), "line 2: room-301/1 is the name of"),
                          ("mac,name,language\n%s,room/1,xx\n" % (MAC % 99), "line 2: language = \"xx\": allowed"),
                          ("mac,room\n", 'line 1: the header names a column "room"')):
        file.write_text(text)
        for more in ((), ("--dry-run",)):
            assert problem in site.cli("seat", "import", str(file), *more, status=1).stderr
    assert len(seats(site)) == 30
    assert "No such file" in site.cli("seat", "import", str(tmp_path / "none.csv"), status=1).stderr


def test_a_whole_site_is_imported(make_site):
    site = make_site()
    text = "mac,name\n" + "".join("02:00:00:00:%02x:%02x,hall-%d/%d\n" % (n >> 8, n & 255, n // 100, n % 100)
                                  for n in range(4096))
    assert json.loads(site.cli("seat", "import", "-", "--json", stdin=text).stdout)["added"] == 4096
    assert len(seats(site, "--room", "hall-7")) == 100
    refused = site.cli("seat", "import", "-", stdin=text + "02:00:00:01:00:00,hall/1\n", status=1).stderr
    assert "at most 4096" in refused
