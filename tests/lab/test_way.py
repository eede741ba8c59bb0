# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole way, as a person sees it: PCs without a disk, one desktop for each user at any seat."""

import json
import re
import time

import pytest

from carrel_lab import way
from carrel_lab.errors import wait_until
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


NAME_FIELD = (450, 316, 780, 356)  # of the login form, pixels of 1280x800

# Where the keys of a German keyboard are on a US one, of what is typed below.
GERMAN = {"z": "y", "y": "z", "Z": "shift-y", "-": "slash", "/": "shift-7", "(": "shift-8", ")": "shift-9",
          "+": "bracket_right", "@": "alt_r-q", "{": "alt_r-7", "$": "shift-4", " ": "spc", "\t": "tab",
          "\n": "ret"}


def type_german(pc, text):
    for character in text:
        pc.key(GERMAN.get(character, character))


def reads_german(pc):
    """The viewer has asked for its keyboard by now; else the field is emptied for another try."""
    type_german(pc, "zyta")
    if re.match("z[vy]ta", pc.wait_still(1, 20).text(NAME_FIELD, line=True)):  # OCR takes y for v
        return True
    pc.key("esc")
    return False


@pytest.mark.full
def test_a_keyboard_is_the_same_at_the_form_and_in_the_desktop(lab, pcs):
    pc1, pc2 = pcs
    password = "yZ-@{77/"
    lab.admin.add_user("zyta", password)
    lab.admin.carrel("seat", "name", pc1.mac, "lab/1")
    lab.admin.carrel("seat", "set", "lab/1", "keyboard=de")
    try:
        wait_until(lambda: reads_german(pc1), 90, "the form types as a German keyboard does")
        type_german(pc1, "\t" + password + "\n")
        way.wait_desktop(pc1)
        way.wait_terminal(pc1)
        type_german(pc1, "echo zy-$((40+2))\n")
        pc1.wait_text("z[vy]-42", 30)
        # At a seat without one of its own it is the image's again.
        way.login(pc2, "zyta", password)
        pc2.wait_text("z[vy]-42", 60)
        way.shell(pc2, "echo own-$((40+2))", "own-42")
        way.log_out(pc2)
    finally:
        lab.admin.carrel("seat", "set", "lab/1", "keyboard=")
