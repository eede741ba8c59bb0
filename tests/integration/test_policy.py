# SPDX-License-Identifier: GPL-2.0-or-later
"""Tiers, queue, groups and reservations through carreld's API and the carrel command."""
import datetime
import json
import re
import sqlite3

import pytest

from fakes.peers import Server
from fakes.site import Site

ROOM = "52:54:00:30:01:"


class Lab:
    """A site with two more servers at hand, and twenty users."""

    def __init__(self, folder, certificate, largest=4096, **options):
        self.site = Site(folder, certificate, **options)
        self.site.conf.write_text(self.site.conf.read_text().replace("max_mib = 4096", "max_mib = %d" % largest))
        self.more = []
        for i in range(20):
            self.site.authd.users["u%d" % i] = ("password", "User %d" % i, 21000 + i)

    def server(self, name):
        self.more.append(Server(self.site.folder / ("virt-%s.sock" % name), "127.78.0.%d" % (20 + len(self.more))))
        self.site.cli("server", "add", name, "qemu+tls://%s/system" % name)
        self.site.wait_status(lambda s: [x["state"] for x in s["servers"] if x["name"] == name] == ["up"])

    def login(self, i, seat="52:54:00:77:00:01"):
        return self.site.login("u%d" % i, "password", client="127.77.0.%d" % (110 + i), seat=seat)

    def ready(self, i, **more):
        token, stream = self.login(i, **more)
        stream.wait("ready")
        return token, stream

    def size(self, i):
        sessions = json.loads(self.site.cli("session", "list", "--json").stdout)["sessions"]
        return [s["memory_mib"] for s in sessions if s["user"] == "u%d" % i][0]

    def status(self):
        return json.loads(self.site.cli("status", "--json").stdout)

    def end(self):
        self.site.end()
        for peer in self.more:
            peer.close()


@pytest.fixture
def make_lab(tmp_path, certificate):
    labs = []

    def make(**options):
        labs.append(Lab(tmp_path, certificate, **options))
        labs[0].site.start()
        labs[0].site.add_server()
        return labs[0]
    yield make
    for lab in labs:
        lab.end()


def test_status_follows_servers_and_configuration(make_lab):
    """9000 MiB less 1024 hold 6 desktops of 1024 + 128 MiB, 3 of twice that, 1 of four times."""
    lab = make_lab()
    status = lab.status()
    assert (status["users"], status["capacity_users"], status["tiers"]) == (0, 6, 3)
    assert status["tier"] == 0 and status["threshold"] == 0
    assert status["next"] == {"size_mib": 2048, "server": "one", "waits": False, "handoff": "", "handoff_server": "", "handoff_size_mib": 0}
    lab.server("two")
    status = lab.status()
    assert (status["capacity_users"], status["tier"], status["size_mib"], status["threshold"]) == (12, 0, 4096, 1)
    text = lab.site.cli("status").stdout
    assert re.search(r"^users +0 of at most 12$", text, re.M)
    assert re.search(r"^reserve +6912 MiB free in one piece$", text, re.M)
    assert re.search(r"^next +a desktop of 4096 MiB on one$", text, re.M)
    lab.site.cli("server", "drain", "two")
    assert lab.status()["capacity_users"] == 6 and lab.status()["next"]["size_mib"] == 2048
    lab.site.cli("server", "drain", "two", "--off")
    assert lab.status()["next"]["size_mib"] == 4096
    lab.ready(0)
    assert lab.size(0) == 4096
    conf = lab.site.conf.read_text()
    lab.site.conf.write_text(conf.replace("max_mib = 4096", "max_mib = 2048"))
    lab.site.cli("reload")
    status = lab.status()
    assert (status["tiers"], status["size_mib"], status["users"]) == (2, 2048, 1)
    lab.ready(1)
    assert lab.size(1) == 2048 and lab.size(0) == 4096
    lab.site.conf.write_text(conf.replace("min_mib = 1024", "min_mib = 512"))
    lab.site.cli("reload")
    assert (lab.status()["tiers"], lab.status()["capacity_users"]) == (4, 24)
    lab.site.cli("server", "drain", "two")
    lab.site.cli("server", "remove", "two", status=1 if lab.more[0].desktops else 0)


def fill(lab, first, count):
    return [lab.ready(i) for i in range(first, first + count)]


def test_full_is_refused_without_a_queue(make_lab):
    lab = make_lab(largest=1024)
    fill(lab, 0, 6)
    _, stream = lab.login(6)
    refused = stream.wait("refused")
    assert refused["code"] == "full" and "6 users are connected" in refused["message"]
    assert re.search(r"^next +would be refused$", lab.site.cli("status").stdout, re.M)


def test_queue(make_lab):
    lab = make_lab(largest=1024, more="[session]\nqueue = 3\n")
    users = fill(lab, 0, 6)
    assert re.search(r"^next +would wait in the queue$", lab.site.cli("status").stdout, re.M)
    waiting = [lab.login(i)[1] for i in (6,)]
    first = waiting[0].wait("stage")
    while first["stage"] != "queued":
        first = waiting[0].wait("stage")
    assert first["position"] == 1 and "minutes" not in first and "cannot be said yet" in first["message"]
    for i in (7, 8):
        stream = lab.login(i)[1]
        while stream.wait("stage").get("position") != len(waiting) + 1:
            pass
        waiting.append(stream)
    refused = lab.login(9)[1].wait("refused")
    assert refused["code"] == "full" and "3 wait in the queue" in refused["message"]
    table = lab.site.cli("queue", "list").stdout
    assert [line.split()[1] for line in table.splitlines()[1:]] == ["u6", "u7", "u8"]
    entries = json.loads(lab.site.cli("queue", "list", "--json").stdout)["queue"]
    assert [(e["position"], e["minutes"]) for e in entries] == [(1, None), (2, None), (3, None)]
    assert re.search(r"^queue +3 wait", lab.site.cli("status").stdout, re.M)
    assert [s["state"] for s in json.loads(lab.site.cli("session", "list", "--json").stdout)["sessions"]
            if s["user"] == "u7"] == ["queued"]
    # One whose viewer goes leaves the queue, and those behind move up.
    waiting[1].close()
    assert waiting[2].wait("stage")["position"] == 2
    # Who is first is admitted as soon as somebody is gone.
    lab.site.request("POST", "/v1/client/logout", token=users[0][0], client="127.77.0.110")
    waiting[0].wait("ready")
    assert waiting[2].wait("stage")["position"] == 1
    lab.server("two")
    waiting[2].wait("ready")
    assert json.loads(lab.site.cli("queue", "list", "--json").stdout)["queue"] == []


def test_estimate_after_sessions_have_ended(make_lab):
    lab = make_lab(largest=1024, more="[session]\nqueue = 3\n")
    for i in range(3):
        token, stream = lab.ready(i)
        lab.site.request("POST", "/v1/client/logout", token=token, client="127.77.0.%d" % (110 + i))
        stream.wait("ended")
    lab.site.server.wait(lambda: not lab.site.server.desktops)
    fill(lab, 3, 6)
    _, stream = lab.login(9)
    told = stream.wait("stage")
    while told["stage"] != "queued":
        told = stream.wait("stage")
    assert told["minutes"] == 1 and "about 1 minute." in told["message"]
    assert json.loads(lab.site.cli("queue", "list", "--json").stdout)["queue"][0]["minutes"] == 1


def test_group_sizes(make_lab):
    lab = make_lab()
    cli = lab.site.cli
    cli("group", "add", "big", "u1", "U2", "--min", "4096")
    cli("group", "add", "kiosk", ROOM.upper() + "*", "--max", "1024")
    lab.server("two")
    lab.server("three")
    lab.ready(0, seat=ROOM + "01")
    assert lab.size(0) == 1024, "the seat's group has a largest size"
    for i in (3, 4, 5, 6):
        lab.ready(i)
    assert lab.size(6) < 4096
    lab.ready(1)
    assert lab.size(1) == 4096, "the user's group has a smallest size"
    # Persistence: the same after a restart.
    lab.site.stop()
    lab.site.start()
    lab.site.wait_status(lambda s: all(x["state"] == "up" for x in s["servers"]))
    groups = json.loads(cli("group", "list", "--json").stdout)["groups"]
    assert groups == [{"name": "big", "min_mib": 4096, "max_mib": 0, "members": ["u1", "u2"]},
                      {"name": "kiosk", "min_mib": 0, "max_mib": 1024, "members": [ROOM + "*"]}]
    assert re.search(r"^kiosk +0 +1024 +52:54:00:30:01:\*$", cli("group", "list").stdout, re.M)
    assert "u1 u2" in cli("group", "show", "big").stdout
    cli("group", "add", "big", "u9", "--max", "4096")
    cli("group", "remove", "big", "u1")
    assert json.loads(cli("group", "show", "big", "--json").stdout) == {
        "name": "big", "min_mib": 4096, "max_mib": 4096, "members": ["u2", "u9"]}
    cli("group", "remove", "big")
    assert "no group big" in cli("group", "show", "big", status=1).stderr
    assert "no group big" in cli("group", "remove", "big", status=1).stderr


def test_group_mistakes(make_lab):
    lab = make_lab()
    cli = lab.site.cli
    assert "4096, 2048, 1024" in cli("group", "add", "g", "u1", "--min", "3000", status=1).stderr
    assert "larger than" in cli("group", "add", "g", "u1", "--min", "2048", "--max", "1024", status=1).stderr
    assert "needs a member" in cli("group", "add", "g", status=1).stderr
    assert "no seat" in cli("group", "add", "g", "52:zz", status=1).stderr
    assert "neither a user's name" in cli("group", "add", "g", "a b", status=1).stderr
    assert "group's name" in cli("group", "add", "a b", "u1", status=1).stderr
    assert "Unknown option --min" in cli("status", "--min", "5", status=2).stderr
    assert json.loads(cli("group", "list", "--json").stdout)["groups"] == []
    cli("group", "add", "g", "u1", "--min", "4096")
    assert not any("group g" in w for w in lab.status()["warnings"])
    lab.site.conf.write_text(lab.site.conf.read_text().replace("max_mib = 4096", "max_mib = 2048"))
    cli("reload")
    assert any("group g: min_mib = 4096 is no size" in w for w in lab.status()["warnings"])
    lab.ready(1)
    assert lab.size(1) == 2048, "the nearest that there is"


def around_now(before, after):
    now = datetime.datetime.now()
    return ["--from", str(now - datetime.timedelta(**before))[:19], "--until", str(now + datetime.timedelta(**after))[:19]]


def test_reservation_keeps_seats(make_lab):
    """Of 6 seats 3 are kept: 3 others come in, the 4th does not, and three of the class do."""
    lab = make_lab()
    cli = lab.site.cli
    cli("group", "add", "room301", ROOM + "*")
    done = cli("reservation", "add", "--group", "room301", *around_now({"minutes": 5}, {"hours": 1}), "--seats", "3")
    assert done.stdout == "Reservation 1 is made.\n" and done.stderr == ""
    assert "reservation-starts" in lab.site.log.read_text()
    assert lab.status()["kept_seats"] == 3
    fill(lab, 0, 3)
    refused = lab.login(3)[1].wait("refused")
    assert refused["code"] == "full" and "3 are kept for a class" in refused["message"]
    for i in (4, 5, 6):
        lab.ready(i, seat=ROOM + "0%d" % i)
    row = json.loads(cli("reservation", "show", "1", "--json").stdout)
    assert (row["state"], row["seats"], row["filled"]) == ("in force", 3, 3)
    assert lab.status()["kept_seats"] == 0
    assert lab.login(7, seat=ROOM + "07")[1].wait("refused")["code"] == "full"
    # A seat that comes free again is kept again; once the reservation is gone anybody has it.
    session = next(s["id"] for s in json.loads(cli("session", "list", "--json").stdout)["sessions"] if s["user"] == "u5")
    cli("session", "end", str(session))
    lab.site.wait_status(lambda s: s["kept_seats"] == 1 and s["servers"][0]["desktops"] == 5)
    assert lab.login(8)[1].wait("refused")["code"] == "full"
    assert "carrel reservation remove 1" in cli("group", "remove", "room301", status=1).stderr
    cli("reservation", "remove", "1")
    lab.ready(9)


def test_reservation_gives_its_size(make_lab):
    lab = make_lab()
    users = lab.site.folder / "class.txt"
    users.write_text("# the class\nu1\n\nu2\n")
    lab.site.cli("reservation", "add", "--users", str(users), *around_now({"minutes": 5}, {"hours": 1}),
                 "--seats", "2", "--min", "2048")
    fill(lab, 3, 2)
    assert lab.login(5)[1].wait("refused")["code"] == "full"
    lab.ready(1)
    lab.ready(2)
    assert (lab.size(1), lab.size(2)) == (2048, 2048)


def test_reservation_begins_and_ends_by_itself(make_lab):
    lab = make_lab(more="[session]\nqueue = 5\n")
    now = datetime.datetime.now()
    at = [str(now + datetime.timedelta(seconds=s))[:19] for s in (2, 5)]
    lab.site.cli("group", "add", "class", "u1*")
    lab.site.cli("reservation", "add", "--group", "class", "--from", at[0], "--until", at[1], "--seats", "6")
    assert lab.status()["kept_seats"] == 0
    lab.site.wait_log("reservation-starts")
    _, stream = lab.login(2)
    while stream.wait("stage")["stage"] != "queued":
        pass
    lab.ready(1)
    lab.site.wait_log("reservation-ends")
    stream.wait("ready")
    rows = json.loads(lab.site.cli("reservation", "list", "--json").stdout)["reservations"]
    assert [r["state"] for r in rows] == ["over"]


def test_reservation_survives_a_restart(make_lab):
    lab = make_lab()
    lab.site.cli("group", "add", "room301", ROOM + "*")
    lab.site.cli("reservation", "add", "--group", "room301", "--when", "Mon-Sun 00:00-24:00", "--seats", "6")
    lab.site.stop()
    lab.site.start()
    lab.site.wait_status(lambda s: s["servers"][0]["state"] == "up" and s["kept_seats"] == 6)
    assert lab.login(0)[1].wait("refused")["code"] == "full"
    lab.ready(1, seat=ROOM + "01")
    lab.site.cli("reservation", "remove", "1")
    lab.site.cli("reservation", "add", "--group", "room301", "--when", "Tue 09:00-11:00", "--seats", "1")
    rows = json.loads(lab.site.cli("reservation", "list", "--json").stdout)["reservations"]
    assert [(r["id"], r["time"]) for r in rows] == [(2, "Tue 09:00-11:00")]
    count = sqlite3.connect(lab.site.folder / "state/carrel.db").execute(
        "SELECT count(*) FROM policy WHERE kind = 'reservation'").fetchone()
    assert count == (1,)


def test_reservation_mistakes_and_warnings(make_lab):
    lab = make_lab()
    cli = lab.site.cli
    cli("group", "add", "room", ROOM + "*")

    def refused(*args):
        return cli("reservation", "add", *args, status=1).stderr
    room, tue = ("--group", "room"), ("--when", "Tue 09:00-11:00")
    assert "the configured servers hold 6 of them" in refused(*room, *tue, "--seats", "7")
    assert "the configured servers hold 3 of them" in refused(*room, *tue, "--seats", "4", "--min", "2048")
    assert "sizes are 4096, 2048, 1024" in refused(*room, *tue, "--seats", "1", "--min", "1000")
    assert "at least one seat" in refused(*room, *tue)
    assert "no group nobody" in refused("--group", "nobody", *tue, "--seats", "1")
    assert "group or for a list" in refused(*tue, "--seats", "1")
    assert "no time of the week" in refused(*room, "--when", "Tuesday at nine", "--seats", "1")
    assert "ends before it begins" in refused(*room, "--when", "Tue 22:00-02:00", "--seats", "1")
    assert "--when" in refused(*room, "--seats", "1")
    assert "over already" in refused(*room, "--from", "2020-01-01", "--until", "2020-01-02", "--seats", "1")
    assert "no date" in refused(*room, "--from", "soon", "--until", "2020-01-02", "--seats", "1")
    assert "class.txt" in refused("--users", "/nonexistent/class.txt", *tue, "--seats", "1")
    assert json.loads(cli("reservation", "list", "--json").stdout)["reservations"] == []
    cli("reservation", "add", *room, *tue, "--seats", "4")
    warned = cli("reservation", "add", *room, "--when", "Mon-Fri 10:30-12:00", "--seats", "3").stderr
    assert "overlaps reservation 1 (Tue 09:00-11:00, 4 seats)" in warned
    assert "together they keep 7 seats, the servers hold 6" in warned
    assert cli("reservation", "add", *room, "--when", "Sat 09:00-11:00", "--seats", "3").stderr == ""
    assert "no reservation 9" in cli("reservation", "remove", "9", status=1).stderr
    assert "no reservation 9" in cli("reservation", "show", "9", status=1).stderr
    cli("server", "drain", "one")
    cli("server", "remove", "one")
    assert any("reservation 1: the servers hold fewer" in w for w in lab.status()["warnings"])
