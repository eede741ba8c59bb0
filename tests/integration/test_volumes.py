# SPDX-License-Identifier: GPL-2.0-or-later
"""Users' homes through carreld's API and the carrel command; the server is played by the test."""
import http.client
import json
import re
import signal
import socket
import sqlite3
import subprocess

import pytest

from fakes.site import BUILD, Site

@pytest.fixture
def site(tmp_path, certificate):
    site = Site(tmp_path, certificate)
    site.start()
    site.add_server()
    yield site
    site.end()


def volume(site, user="alice"):
    return json.loads(site.cli("volume", "show", user, "--json").stdout)


def login_and_out(site, user="alice", password="wonderland"):
    token, stream = site.login(user, password)
    stream.wait("ready")
    assert site.request("POST", "/v1/client/logout", token=token)[0] == 202
    stream.wait("ended")
    site.server.wait(lambda: not any(vm["volume"] for vm in site.server.desktops.values()))
    site.wait_status(lambda s: volume(site, user)["desktop"] == 0)


def asked(site, op):
    return [request for request in site.server.asked if request["op"] == op]


def begin(site, work, body=None):
    """As the command does, which would wait for the end."""
    connection = http.client.HTTPConnection("carrel")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(site.folder / "run/api.sock"))
    connection.request("POST", f"/v1/volumes/alice/{work}", json.dumps(body) if body else None)
    assert connection.getresponse().status == 202
    connection.close()


@pytest.mark.quick
def test_a_home_from_its_first_login_to_its_end(site):
    assert "alice has no home; the first login makes it" in site.cli("volume", "show", "alice", status=1).stderr
    login_and_out(site)
    listed = json.loads(site.cli("volume", "list", "--json").stdout)
    assert [v["user"] for v in listed["volumes"]] == ["alice"] and not listed["problem"]
    assert listed["pool"] == {"pool": "carrel-volumes", "capacity": 100 << 30, "available": 40 << 30,
                              "promised_mib": 8192}
    assert "pool carrel-volumes: 102400 MiB, 40960 MiB free; 8192 MiB are promised to the homes, 8 % of it" in \
        site.cli("volume", "list").stdout

    made = site.cli("volume", "snapshot", "alice").stdout
    name = re.search(r"The snapshot is made: (snap-\d{8}T\d{6}Z)", made).group(1)
    assert [s["name"] for s in volume(site)["snapshots"]] == [name]
    shown = site.cli("volume", "show", "alice").stdout
    assert "state     free" in shown and name in shown and "snapshot: done" in shown

    assert site.cli("volume", "restore", "alice", name, "--yes").stdout == f"The home is as it was in {name}\n"
    assert asked(site, "volume-restore")[0]["to"] == 1 and asked(site, "volume-restore")[0]["copy"] == 0
    site.server.wait(lambda: asked(site, "volume-sweep"))
    assert asked(site, "volume-sweep")[0]["copy"] == 1
    login_and_out(site)
    assert asked(site, "volume-attach")[-1]["copy"] == 1

    assert site.cli("volume", "check", "alice").stdout == "The home is whole.\n"
    assert "The home is whole" in site.cli("volume", "check", "alice", "--repair").stdout
    assert "has not been checked" in site.cli("volume", "show", "alice", "--log", status=1).stderr
    folder = site.folder / "state/volumes"
    folder.mkdir()
    (folder / "1.log").write_text("Pass 1: Checking inodes\n")
    assert site.cli("volume", "show", "alice", "--log").stdout == "Pass 1: Checking inodes\n"

    assert "never made smaller" in site.cli("volume", "grow", "alice", "--size", "8G", status=1).stderr
    assert "say how large" in site.cli("volume", "grow", "alice", status=2).stderr
    site.cli("volume", "grow", "alice", "--size", "20G")
    assert volume(site)["size_mib"] == 20480

    exported = site.cli("volume", "export", "alice").stdout
    assert re.search(r"The home is in /.*/state/volumes/home-1-\d+T\d+Z.img", exported)
    assert "no absolute path" in site.cli("volume", "export", "alice", "x.img", status=1).stderr
    site.cli("volume", "import", "alice", "/srv/alice.img", "--yes")
    want = {"op": "volume-import", "path": "/srv/alice.img", "uid": 20001, "user": "alice", "to": 3,
            "size_mib": 20480}
    assert {k: asked(site, "volume-import")[0][k] for k in want} == want

    assert "no such snapshot" in site.cli("volume", "drop", "alice", "snap-20200101T000000Z", status=1).stderr
    site.cli("volume", "drop", "alice", name)
    assert volume(site)["snapshots"] == []
    site.cli("volume", "snapshot", "alice")
    refused = site.cli("volume", "delete", "alice", status=1).stderr
    assert "5 MiB of files, and its 1 snapshots would be lost for good" in refused and 1 in site.server.volumes
    site.cli("volume", "delete", "alice", "--yes")
    assert not site.server.volumes
    login_and_out(site)
    assert site.server.volumes == {2} and volume(site)["id"] == 2 and volume(site)["size_mib"] == 8192


@pytest.mark.quick
def test_one_that_is_in_use_is_left_alone(site):
    _, stream = site.login()
    stream.wait("ready")
    for words in (["snapshot", "alice"], ["restore", "alice", "snap-20261127T030000Z", "--yes"],
                  ["check", "alice", "--repair"], ["grow", "alice", "--size", "20G"], ["export", "alice"],
                  ["import", "alice", "/x", "--yes"], ["delete", "alice", "--yes"]):
        assert "alice is logged in (on server one): \"carrel session end alice\" first" in \
            site.cli("volume", *words, status=1).stderr
    assert not [op for op in site.server.ops() if op in ("volume-snapshot", "volume-delete", "volume-restore")]
    for words in (["restore", "alice", "snap-x"], ["import", "alice", "/x"]):
        assert f"\"carrel volume {' '.join(words)} --yes\"" in site.cli("volume", *words, status=1).stderr
    assert "in use on one" in site.cli("volume", "list").stdout


@pytest.mark.quick
def test_a_failure_is_told_and_changes_nothing(site):
    login_and_out(site)
    site.server.failures["volume-restore"] = ("storage", "pool carrel-volumes has no room")
    answer = site.cli("volume", "restore", "alice", "snap-20261127T030000Z", "--yes", status=1)
    assert "pool carrel-volumes has no room" in answer.stderr
    assert volume(site)["done"] == {"work": "restore", "number": 1, "code": "storage",
                                    "message": "pool carrel-volumes has no room"}
    login_and_out(site)
    assert asked(site, "volume-attach")[-1]["copy"] == 0


@pytest.mark.quick
def test_a_worker_that_loses_its_server_does_not_go_on(site):
    """Its libvirt may be reached again in a moment, and it would write what is asked of another one."""
    login_and_out(site)
    site.server.hanging.add("volume-snapshot")
    begin(site, "snapshot")
    site.server.wait(lambda: asked(site, "volume-snapshot"))
    with site.server.lock:
        held = list(site.server.connections)
    site.server.event("volume-progress", volume=1, done=1, total=4)
    site.wait_status(lambda s: volume(site)["percent"] == 25)
    assert "snapshot, 25 %" in site.cli("volume", "list").stdout
    site.server.event("server-down", message="the cable is out")
    site.server.wait(lambda: not set(held) & set(site.server.connections))
    assert volume(site)["work"] == "snapshot"


@pytest.mark.quick
def test_what_is_called_off_leaves_the_home_as_it_was(site):
    login_and_out(site)
    assert "nothing is being done to alice's home" in site.cli("volume", "cancel", "alice", status=1).stderr
    assert "bob has no home" in site.cli("volume", "cancel", "bob", status=1).stderr
    site.cli("volume", "snapshot", "alice")
    name = volume(site)["snapshots"][0]["name"]
    site.server.hanging.add("volume-restore")
    waiting = subprocess.Popen([BUILD / "carrel", "--config", site.conf, "volume", "restore", "alice", name, "--yes"],
                               stderr=subprocess.PIPE, text=True)
    site.server.wait(lambda: asked(site, "volume-restore"))
    _, stream = site.login()
    while "Your home is being restored" not in stream.wait("stage")["message"]:
        pass
    assert site.cli("volume", "cancel", "alice").stdout == \
        "The restore of alice's home is called off; the home is as it was.\n"
    assert waiting.communicate(timeout=20)[1] == "carrel: the restore was called off; the home is as it was\n"
    assert waiting.returncode == 1 and len(asked(site, "volume-restore")) == 1
    assert volume(site)["done"] == {"work": "restore", "number": 2, "code": "cancelled",
                                    "message": "the restore was called off; the home is as it was"}
    assert stream.wait("ready")
    assert asked(site, "volume-attach")[-1]["copy"] == 0


@pytest.mark.quick
def test_a_damaged_home_is_said_and_mended(site):
    site.server.claim_answer = ("volume-damaged", "e2fsck status 4")
    _, stream = site.login()
    assert stream.wait("refused")["code"] == "volume-damaged"
    site.server.claim_answer = None
    site.wait_status(lambda s: any("carrel volume check alice --repair" in w for w in s["warnings"])
                     and volume(site)["desktop"] == 0)
    shown = site.cli("volume", "show", "alice").stdout
    assert "damaged" in shown and "e2fsck status 4" in shown
    site.cli("volume", "check", "alice", "--repair")
    assert volume(site)["state"] == "ready"
    login_and_out(site)


def test_a_crash_in_the_middle_begins_anew_and_a_login_waits(site):
    login_and_out(site)
    site.cli("volume", "snapshot", "alice")
    name = volume(site)["snapshots"][0]["name"]
    site.server.hanging.add("volume-restore")
    begun = site.cli("volume", "check", "alice", "--json")
    assert json.loads(begun.stdout)["done"]["code"] == ""
    admin = sqlite3.connect(site.folder / "state/carrel.db")
    begin(site, "restore", {"snapshot": name})
    site.server.wait(lambda: len(asked(site, "volume-restore")) == 1)
    assert admin.execute("SELECT work, last_copy, copy FROM volume").fetchall() == [(2, 1, 0)]
    admin.close()
    assert "is being restored" in site.cli("volume", "snapshot", "alice", status=1).stderr
    _, stream = site.login()
    while "Your home is being restored" not in stream.wait("stage")["message"]:
        pass
    site.stop(signal.SIGKILL)
    site.start()
    site.server.wait(lambda: len(asked(site, "volume-restore")) == 2)
    assert [r["to"] for r in asked(site, "volume-restore")] == [1, 2]
    _, stream = site.login()
    while "Your home is being restored" not in stream.wait("stage")["message"]:
        pass
    # Its worker dies; the next one is answered.
    site.server.hanging.clear()
    with site.server.lock:
        for held in site.server.connections:
            held.shutdown(socket.SHUT_RDWR)
    assert stream.wait("ready", 40)
    assert [r["to"] for r in asked(site, "volume-restore")] == [1, 2, 3]
    assert asked(site, "volume-attach")[-1]["copy"] == 3


@pytest.mark.quick
def test_daily_snapshots_of_what_was_used(site):
    login_and_out(site)
    login_and_out(site, "bob", "builder")
    site.cli("volume", "snapshot", "bob")
    site.stop()
    # The clock struck last long ago, and the machine was off since.
    database = sqlite3.connect(site.folder / "state/carrel.db")
    assert database.execute("UPDATE policy SET entry = '{\"last\":1}' WHERE kind = 'volumes'").rowcount == 1
    database.commit()
    database.close()
    site.start()
    site.server.wait(lambda: len(asked(site, "volume-snapshot")) == 2)
    daily = asked(site, "volume-snapshot")[-1]
    assert daily["volume"] == 1 and daily["snapshot"].startswith("daily-") and daily["keep"] == 7
    site.wait_status(lambda s: volume(site)["work"] == "")
    assert not volume(site)["changed"] and volume(site)["last_snapshot"]
