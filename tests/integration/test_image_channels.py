# SPDX-License-Identifier: GPL-2.0-or-later
"""Versions of the image with the real carreld and the `carrel` command: published, tried, promoted,
taken back. Two virtualization servers are played."""
import json
import shutil
import signal
import subprocess
import threading
import time

import pytest
import signing

from fakes.peers import Server
from fakes.site import BUILD, IMAGE, Site

OLD, NEW, NEWER = IMAGE, "desktop-lite@20260401.1", "desktop-lite@20260402.1"


@pytest.fixture
def site(tmp_path, certificate):
    made = Site(tmp_path, certificate)
    made.second = Server(made.folder / "virt-two.sock", host="127.78.0.20")
    made.second.volumes = made.server.volumes  # the same storage
    made.start()
    try:
        for name in ("one", "two"):
            made.cli("server", "add", name, f"qemu+tls://{name}/system")
        made.wait_status(lambda s: len(s["servers"]) == 2
                         and all(x["state"] == "up" for x in s["servers"]))
        for image in (NEW, NEWER):
            made.publish(image)
        yield made
    finally:
        made.end()


def status(site):
    return json.loads(site.cli("image", "status", "--json").stdout)


def channels(site):
    return status(site)["channels"]


def image_of(site, user):
    desktops = json.loads(site.cli("desktop", "list", "--json").stdout)["desktops"]
    return next(d["image"] for d in desktops if d["user"] == user)


def test_a_version_from_the_recipe_to_everybody(site):
    assert channels(site)["stable"] == OLD, "the first that was published"
    said = site.cli("image", "publish", NEW).stdout
    assert f"testing   {NEW}" in said
    for server in (site.server, site.second):
        assert NEW in server.images, "every server has it before anybody gets it"
    site.cli("image", "try", NEW, "bob")
    _, alice = site.login()
    alice.wait("ready", 15)
    _, bob = site.login("bob", "builder", client="127.77.0.102")
    bob.wait("ready", 15)
    assert image_of(site, "alice") == OLD and image_of(site, "bob") == NEW
    text = site.cli("image", "status").stdout
    assert f"trial     {NEW}: bob" in text and f"1 on {NEW}" in text
    site.cli("image", "promote", NEW, "--canary", "0")
    assert channels(site) | {"until": 0} == {
        "stable": NEW, "testing": "", "previous": OLD, "canary": 0, "until": 0, "returned": "",
        "reason": ""}
    assert image_of(site, "alice") == OLD, "running sessions stay"
    site.cli("session", "end", "alice")
    site.server.wait(lambda: not site.netd.forwards.get(("127.77.0.101", 5900)))
    site.cli("image", "rollback", "--reason", "the printers")
    assert channels(site)["stable"] == OLD and channels(site)["reason"] == "the printers"
    assert "the printers" in site.cli("status").stdout
    assert "no version to go back to" in site.cli("image", "rollback", status=1).stderr


def test_a_guest_is_a_version_like_any_other(site, tmp_path, need):
    need("qemu-img")
    disk = tmp_path / "guest.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    guest = json.loads(site.cli("image", "import", disk, "--name", NEW.split("@", maxsplit=1)[0], "--agent",
                                "qemu-ga", "--json").stdout)["image"]
    site.cli("image", "publish", guest)
    assert guest in site.server.images and guest in site.second.images
    site.cli("image", "try", guest, "bob")
    _, bob = site.login("bob", "builder", client="127.77.0.102")
    bob.wait("ready", 15)
    assert image_of(site, "bob") == guest
    site.cli("image", "promote", guest, "--canary", "0")
    assert (channels(site)["stable"], channels(site)["previous"]) == (guest, OLD)
    site.cli("image", "rollback", "--reason", "no Windows today")
    assert channels(site)["stable"] == OLD


def test_restart_keeps_channels_and_trials(site):
    site.cli("image", "publish", NEW)
    site.cli("image", "try", NEW, "52:54:00:*", "bob")
    site.cli("image", "promote", NEWER)
    before = status(site)
    site.process.send_signal(signal.SIGKILL)
    site.process.wait()
    site.start()
    after = status(site)
    assert after["channels"] == before["channels"] and after["trials"] == before["trials"]
    site.wait_status(lambda s: all(x["state"] == "up" for x in s["servers"]))
    assert {OLD, NEW, NEWER} <= site.second.images


def test_a_version_that_does_not_work_is_taken_back(site):
    site.server.claim_answer = site.second.claim_answer = ("session-failed", "no window manager")
    site.cli("image", "promote", NEW)
    assert channels(site)["canary"] == 3
    _, stream = site.login()
    site.wait_status(lambda s: s["image"] == OLD)
    taken = channels(site)
    assert taken["returned"] == NEW and "no window manager" in taken["reason"]
    assert any(NEW in w for w in json.loads(site.cli("status", "--json").stdout)["warnings"])
    stream.close()


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.full)])
def test_killed_promotions_leave_one_version_or_the_other(site, kills):
    """At moments spread over what a promotion takes, and a little beyond."""
    began = time.monotonic()
    site.cli("image", "promote", NEW)
    spread = 2 * (time.monotonic() - began)
    whole = [{"stable": NEW, "testing": "", "previous": OLD}]
    old, new = NEW, OLD
    outcomes = set()
    for kill in range(kills):
        thread = threading.Thread(target=subprocess.run, kwargs={
            "args": [BUILD / "carrel", "--config", site.conf, "image", "promote", new, "--no-wait"],
            "capture_output": True, "check": False})
        thread.start()
        time.sleep(spread * kill / kills)
        site.process.send_signal(signal.SIGKILL)
        site.process.wait()
        thread.join()
        site.start()
        now = {key: channels(site)[key] for key in whole[0]}
        changed = {"stable": new, "testing": "", "previous": old}
        assert now in (whole[-1], changed), (kill, now, whole[-1])
        outcomes.add(now == changed)
        if now == changed:
            whole.append(now)
            old, new = new, old
    assert outcomes == {True, False}, "all kills came too early, or too late"


def test_a_server_that_cannot_take_it_stops_the_promotion(site):
    site.second.failures["image-ensure"] = ("storage", "the pool is full")
    error = site.cli("image", "promote", NEW, status=1).stderr
    assert "the pool is full" in error and "two" in error
    assert channels(site)["stable"] == OLD
    site.second.failures.clear()
    site.cli("image", "promote", NEW)
    assert channels(site)["stable"] == NEW


def test_a_server_that_is_away_gets_it_when_it_is_back(site):
    site.second.close()
    site.wait_status(lambda s: {x["name"]: x["state"] for x in s["servers"]}["two"] != "up")
    site.cli("image", "promote", NEW)
    assert channels(site)["stable"] == NEW and NEW not in site.second.images
    site.second.open()
    site.wait_status(lambda s: all(x["state"] == "up" for x in s["servers"]))
    assert NEW in site.second.images


def test_two_admins(site):
    site.second.hanging.add("image-ensure")
    site.cli("image", "publish", NEW, "--no-wait")
    error = site.cli("image", "promote", NEWER, status=1).stderr
    assert f"{NEW} is on its way" in error and "image cancel" in error
    site.cli("image", "cancel")
    assert status(site)["rollout"]["image"] == ""
    assert channels(site)["testing"] == ""
    assert "no version is on its way" in site.cli("image", "cancel", status=1).stderr


def spoiled(site, image, member, replacement):
    name, version = image.split("@")
    path = site.folder / "images" / name / version / "manifest.json"
    path.write_text(path.read_text().replace(member, replacement))


@pytest.mark.parametrize("words, message", [
    (["publish", "desktop-lite@20990101.1"], "there is no image desktop-lite@20990101.1"),
    (["publish", "other@20260401.1"], "no version of the image desktop-lite"),
    (["publish", "desktop-lite"], "write desktop-lite@YYYYMMDD.N"),
    (["publish", "desktop-lite@../../x"], "write desktop-lite@YYYYMMDD.N"),
    (["try", NEW, "bob"], "is not the testing version"),
    (["try", NEW], "name users"),
    (["try", NEW, "--group", "nobody"], "no group nobody"),
    (["try", NEW, "--none"], "nobody tries"),
])
def test_mistakes_change_nothing(site, words, message):
    before = status(site)
    assert message in site.cli("image", *words, status=1).stderr
    assert status(site) == before


@pytest.mark.parametrize("words", [
    ["try", NEW, "--canary", "3"], ["rollback", "--within", "5"], ["status", "--group", "x"],
    ["promote"], ["publish", NEW, NEWER], ["promote", NEW, "--canary", "many"]])
def test_wrong_use(site, words):
    site.cli("image", *words, status=2)


def test_nobody_uses_what_the_site_has_not_signed(site):
    spoiled(site, NEW, "quiet", "quiet init=/bin/sh")
    assert "is not signed by this site" in site.cli("image", "promote", NEW, status=1).stderr
    shutil.copy(site.folder / "images/desktop-lite/20260402.1/manifest.sig",
                site.folder / "images/desktop-lite/20260401.1/manifest.sig")
    assert "is not signed by this site" in site.cli("image", "publish", NEW, status=1).stderr
    signing.make_keys(site.folder / "pki")
    assert "by another key" in site.cli("image", "publish", NEWER, status=1).stderr


def test_a_group_tries_it(site):
    site.cli("group", "add", "room", "bob")
    site.cli("image", "publish", NEW)
    site.cli("image", "try", NEW, "--group", "room")
    _, bob = site.login("bob", "builder", client="127.77.0.102")
    bob.wait("ready", 15)
    assert image_of(site, "bob") == NEW
    assert "tries the image" in site.cli("group", "remove", "room", status=1).stderr
    site.cli("image", "try", NEW, "--none")
    site.cli("group", "remove", "room")


def test_servers_lose_what_nobody_needs(site):
    """What is gone from the boot server's disk, and is in use nowhere."""
    for image in (NEW, NEWER):
        site.cli("image", "promote", image)
    assert channels(site)["previous"] == NEW
    assert OLD in site.server.images
    site.cli("image", "gc", "--keep", "0")
    for server in (site.server, site.second):
        server.wait(lambda: server.images == {NEW, NEWER})
    # Also a server that was away meanwhile.
    site.second.images.add(OLD)
    site.second.close()
    site.wait_status(lambda s: {x["name"]: x["state"] for x in s["servers"]}["two"] != "up")
    site.second.open()
    site.second.wait(lambda: site.second.images == {NEW, NEWER})
