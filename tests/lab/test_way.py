# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole way, as a person sees it: PCs without a disk, one desktop for each user at any seat."""

import json
import time

import pytest

from carrel_lab import way
from carrel_lab.school import PASSWORDS

pytestmark = [pytest.mark.lab, pytest.mark.root]


def test_a_file_stays_and_a_damaged_system_does_not(lab, pcs, log_in):
    pc1, pc2 = pcs
    wall = time.time()
    log_in(pc1, "alice")
    ledger = way.first_frame(lab, "alice", wall)
    stages = [s["stage"] for s in ledger["stages"]]
    # The order of the ledger is in docs/protocols.md; the PC's own stages come first.
    order = ["login", "authenticate", "place", "desktop", "volume", "claim", "ticket",
             "first-frame"]
    assert [s for s in stages if s in order] == order
    assert "kernel" in stages and "fetch" in stages
    assert all(s["ms"] >= 0 for s in ledger["stages"])
    boot = json.loads(lab.admin.carrel("seat", "show", "--json", pc1.mac).stdout)["seats"][0]["boot"]
    assert (boot["state"], boot["firmware"]) == ("up", "bios")
    assert [s["stage"] for s in boot["stages"]] == [
        "dhcp", "program", "menu", "kernel", "initrd", "network", "fetch", "verify", "root", "drivers", "viewer", "form"]
    assert [s["ms"] for s in boot["stages"]] == sorted(s["ms"] for s in boot["stages"])
    first = lab.admin.session("alice")
    assert first["state"] == "connected"

    way.wait_terminal(pc1)
    way.shell(pc1, "echo kept-$((40+2))-alice > note.txt; cat note.txt", "kept-42-alice")
    way.shell(pc1, "sudo rm -rf /usr/bin/less; test -e /usr/bin/less || echo gone-$((40+2))",
              "gone-42")
    way.log_out(pc1)
    lab.admin.wait_desktop("standby", 240)
    assert lab.admin.session("alice") is None

    log_in(pc2, "alice")
    second = lab.admin.session("alice")
    assert second["desktop"] != first["desktop"]
    way.wait_terminal(pc2)
    way.shell(pc2, "cat note.txt", "kept-42-alice")
    way.shell(pc2, "test -e /usr/bin/less && echo whole-$((40+2))", "whole-42")
    way.log_out(pc2)


def test_two_users_have_two_desktops_and_two_homes(lab, pcs, log_in):
    pc1, pc2 = pcs
    log_in(pc1, "alice")
    log_in(pc2, "bob")
    sessions = [lab.admin.session(u) for u in ("alice", "bob")]
    assert len({s["desktop"] for s in sessions}) == 2
    way.wait_terminal(pc2)
    way.shell(pc2, "ls ~alice note.txt; id -un | tr a-z A-Z", "BOB")
    assert "kept" not in pc2.screen().text()


def test_a_session_roams_and_the_first_seat_is_told(lab, pcs, log_in):
    pc1, pc2 = pcs
    log_in(pc1, "alice")
    way.wait_terminal(pc1)
    way.shell(pc1, "clear; echo mark-$((40+2))", "mark-42")
    before = lab.admin.session("alice")

    log_in(pc2, "alice")
    pc2.wait_text("mark-42", 30)
    pc1.wait_text(way.MOVED, 30)
    after = lab.admin.session("alice")
    assert (after["id"], after["desktop"]) == (before["id"], before["desktop"])
    assert after["seat"].lower() == pc2.mac
    way.to_form(pc1)


def test_a_pulled_plug_keeps_the_desktop_for_another_seat(lab, pcs, log_in):
    pc1, pc2 = pcs
    log_in(pc1, "alice")
    way.wait_terminal(pc1)
    way.shell(pc1, "clear; echo plug-$((40+2))", "plug-42")
    before = lab.admin.session("alice")
    pc1.power_cut()

    log_in(pc2, "alice")
    pc2.wait_text("plug-42", 30)
    after = lab.admin.session("alice")
    assert (after["id"], after["desktop"]) == (before["id"], before["desktop"])


def test_a_restart_of_the_broker_keeps_desktop_and_session(lab, pcs, log_in):
    pc1 = pcs[0]
    log_in(pc1, "alice")
    way.wait_terminal(pc1)
    before = lab.admin.session("alice")
    lab.boot.kill("carreld")
    # The desktop does not need the broker.
    way.shell(pc1, "clear; echo alone-$((40+2))", "alone-42")
    lab.boot.start_broker()
    after = lab.admin.wait_session("alice", "connected", 60)
    assert (after["id"], after["desktop"]) == (before["id"], before["desktop"])
    way.shell(pc1, "echo adopted-$((40+2))", "adopted-42")
    way.log_out(pc1)
    assert lab.admin.session("alice") is None


def test_the_login_form_leads_to_nothing_but_the_users_own_desktop(lab, pcs, log_in):
    """Before the session and after it the PC reaches no desktop's port."""
    assert not lab.boot.forwards()
    log_in(pcs[0], "alice")
    forwards = lab.boot.forwards()
    assert [f["client"] for f in forwards] == [pcs[0].address()]
    way.log_out(pcs[0])
    assert not lab.boot.forwards()


def test_wrong_password_and_unknown_user_get_the_same_answer(lab, pcs):
    pc = pcs[0]
    answers = []
    for user in ("alice", "nobody-here"):
        way.login(pc, user, "wrong " + PASSWORDS["alice"])
        began = time.monotonic()
        screen = pc.wait_text(way.DENIED, 30)
        answers.append((time.monotonic() - began, way.message(screen, way.DENIED)))
        way.to_form(pc, clear=True)
    assert answers[0][1] == answers[1][1]
    assert lab.admin.session("alice") is None
    way.login(pc, "alice", PASSWORDS["alice"])
    way.wait_desktop(pc)
    way.log_out(pc)
