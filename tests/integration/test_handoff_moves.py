# SPDX-License-Identifier: GPL-2.0-or-later
"""Hand-offs from the first word to the last: carreld, its core and the carrel command together."""
import json
import subprocess

import pytest

from fakes.peers import Server
from fakes.site import BUILD, Site


@pytest.fixture
def make_site(tmp_path, certificate):
    """make_site(grace, reserve) is a site with the servers one and two."""
    sites = []

    def make(grace=0, reserve="yes", more=""):
        site = Site(tmp_path, certificate, boot_reserve=reserve, more="[session]\nhandoff_grace = %d\n%s" % (grace, more))
        site.two = Server(site.folder / "virt-two.sock", "127.78.0.20")
        site.two.volumes = site.server.volumes  # one storage
        sites.append(site)
        site.start()
        site.add_server()
        site.cli("server", "add", "two", "qemu+tls://two/system")
        site.wait_status(lambda s: [x["state"] for x in s["servers"]] == ["up", "up"])
        return site
    yield make
    for site in sites:
        site.end()
        site.two.close()


@pytest.fixture
def site(make_site):
    return make_site()


def other(server):
    return {"one": "two", "two": "one"}[server]


def rows(site, *command):
    return json.loads(site.cli(*command, "list", "--json").stdout)[command[0] + "s"]


def session(site, user="alice"):
    return [s for s in rows(site, "session") if s["user"] == user][0]


class Viewer:
    """A viewer that shows each desktop it is given the way to."""

    def __init__(self, site, *login, **more):
        self.site, self.client = site, more.get("client", "127.77.0.101")
        self.token, self.stream = site.login(*login, **more)
        self.ready = self.show()

    def show(self):
        ready = self.stream.wait("ready")
        self.report()
        return ready

    def report(self):
        assert self.site.request("POST", "/v1/client/report", {"event": "first-frame", "ms": 1}, self.token,
                                 client=self.client)[0] == 204

    def handoff(self, step):
        data = self.stream.wait("handoff")
        assert data["step"] == step, data
        return data


def test_an_admin_moves_somebody(site):
    viewer = Viewer(site)
    site.cli("seat", "set", "52:54:00:77:00:01", "keyboard=de")
    before = session(site)
    target = other(before["server"])
    site.cli("session", "move", "alice", "--to", target, "--size", "1024")
    told = viewer.handoff("announced")
    assert (told["from_mib"], told["size_mib"]) == (before["memory_mib"], 1024)
    assert told["ms"] <= 1 and told["message"]
    viewer.handoff("moving")
    ready = viewer.show()
    assert ready["tls_name"] == target and ready["session"] == before["id"]
    after = session(site)
    assert (after["server"], after["memory_mib"], after["state"]) == (target, 1024, "connected")
    assert after["desktop"] != before["desktop"]
    peers = {"one": site.server, "two": site.two}
    vm = peers[target].desktops[after["desktop"]]
    assert vm["user"] == "alice" and vm["volume"] and vm["keyboard"] == "de"
    peers[before["server"]].wait(lambda: before["desktop"] not in peers[before["server"]].desktops)
    assert site.netd.forwards[("127.77.0.101", ready["port"])][0] == peers[target].host


def test_the_command_waits_for_the_end_of_a_move(site):
    viewer = Viewer(site)
    before = session(site)
    waiting = subprocess.Popen([BUILD / "carrel", "--config", site.conf, "desktop", "resize", str(before["desktop"]),
                                "1024", "--wait", "60"], stdout=subprocess.PIPE, text=True)
    viewer.handoff("announced")
    viewer.show()
    out = waiting.communicate(timeout=30)[0]
    after = session(site)
    assert waiting.returncode == 0
    assert out.splitlines()[-1] == "alice has desktop %d, 1024 MiB on %s." % (after["desktop"], after["server"])


def test_the_user_does_not_wait_for_the_notice(make_site):
    site = make_site(grace=600)
    viewer = Viewer(site)
    before = session(site)
    site.cli("session", "move", str(before["id"]), "--to", other(before["server"]))
    assert 590000 < viewer.handoff("announced")["ms"] <= 600000
    row = session(site)
    assert (row["move"], row["move_why"], row["next_server"]) == ("announce", "admin", other(before["server"]))
    assert row["desktop"] == before["desktop"] and row["next_memory_mib"] == before["memory_mib"]
    one = json.loads(site.cli("desktop", "show", str(row["next"]), "--json").stdout)
    assert one["next_of"] == "alice" and one["move"] == "announce"
    assert "moving    1 user" in site.cli("status").stdout
    assert "announce (admin) to desktop %d" % row["next"] in site.cli("session", "list").stdout
    assert "alice" in site.cli("desktop", "destroy", str(row["next"]), status=1).stderr
    assert site.cli("session", "move", "alice", "--wait", status=1).stderr
    assert site.request("POST", "/v1/client/move-now", token=viewer.token)[0] == 202
    viewer.handoff("moving")
    assert viewer.show()["tls_name"] == other(before["server"])


def test_a_server_is_drained(site):
    viewers = [Viewer(site), Viewer(site, "bob", "builder", client="127.77.0.102", seat="52:54:00:77:00:02")]
    name = session(site)["server"]
    here = [s["user"] for s in rows(site, "session") if s["server"] == name]
    out = site.cli("server", "drain", name, "--wait", "15").stdout
    assert out.endswith("%s: 0 users left, 0 desktops\nThe server is empty.\n" % name)
    for viewer, user in zip(viewers, ("alice", "bob")):
        assert session(site, user)["server"] == other(name)
        if user in here:
            viewer.handoff("announced")
            viewer.show()
    site.cli("server", "remove", name)


def test_a_desktop_is_destroyed(site):
    viewer = Viewer(site)
    row = session(site)
    site.cli("desktop", "destroy", str(row["desktop"]), "--yes")
    assert viewer.stream.wait("ended")["code"] == "admin"
    peer = {"one": site.server, "two": site.two}[row["server"]]
    peer.wait(lambda: row["desktop"] not in peer.desktops)
    assert rows(site, "session") == []


@pytest.mark.parametrize("reserve", ["yes", "no"])
def test_the_next_login_moves_somebody(make_site, reserve):
    """Each login is what the line of `carrel status` said before it."""
    site = make_site(reserve=reserve)
    moved, viewers = 0, {}
    for i in range(8):
        user = "u%d" % i
        site.authd.users[user] = ("password", "User %d" % i, 21000 + i)
        said = json.loads(site.cli("status", "--json").stdout)["next"]
        line = ("%s's desktop goes to %d MiB on %s, then " %
                (said["handoff"], said["handoff_size_mib"], said["handoff_server"]) if said["handoff"] else "")
        line += "a desktop of %d MiB on %s" % (said["size_mib"], said["server"])
        assert "next      %s\n" % line in site.cli("status").stdout
        viewers[user] = Viewer(site, user, "password", client="127.77.0.%d" % (110 + i), seat="52:54:00:77:00:%02d" % i)
        assert session(site, user)["memory_mib"] == said["size_mib"]
        if said["handoff"]:
            moved += 1
            viewers[said["handoff"]].handoff("announced")
            viewers[said["handoff"]].show()
            site.wait_status(lambda s: s["moving"] == 0)
            assert session(site, said["handoff"])["memory_mib"] == said["handoff_size_mib"]
    assert moved > 2


def test_users_of_a_lost_server_go_on_elsewhere(make_site):
    site = make_site(more="[server]\nlost_after = 1\n")
    viewer = Viewer(site)
    before = session(site)
    peer, name = {"one": (site.server, "one"), "two": (site.two, "two")}[before["server"]]
    peer.close()
    status = site.wait_status(lambda s: any(x["state"] == "lost" for x in s["servers"]), 15)
    assert any("carrel server lost %s --yes" % name in text for text in status["warnings"])
    site.cli("server", "lost", name, "--yes")
    assert viewer.show()["tls_name"] == other(name)
    assert session(site)["server"] == other(name)
    peer.open()
