# SPDX-License-Identifier: GPL-2.0-or-later
"""Hand-offs as users live through them: on two servers, sizes as the allocator says, files whole,
never more memory than a server has, never a volume in two desktops, and a picture all the time."""

import re
import threading
import time

import pytest

from carrel_lab import LabError, expect, home, invariants, way
from carrel_lab.errors import wait_until
from carrel_lab.kill import STEPS, Log
from carrel_lab.school import CAPACITY, PASSWORDS

pytestmark = [pytest.mark.lab, pytest.mark.root]

USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan")
MOVE = 180   # seconds; a desktop boots in the middle of it
SMALL = 512


@pytest.fixture(scope="module")
def pair(make_pair):
    return make_pair("handoff")


@pytest.fixture
def roomy(room):
    """A desktop of the largest size has room on either server beside another: an admin can move it."""
    room.configure({"desktop": {"max_mib": str(CAPACITY // 2)}})
    return room


def broker_log(lab):
    return Log(lab.path("log", "carreld.log"))


def at_step(log, step, seconds=MOVE):
    """Waits until the broker begins a step of a hand-off."""
    return log.wait(STEPS["handoff"][step], seconds)


def other(lab, user):
    """The server on which a user's desktop is not."""
    return next(s for s in lab.servers.names() if s != lab.admin.session(user)["server"])


def moved(seat, since):
    """The seat has been handed off since then: its picture stood, then the new desktop was there."""
    moving = seat.wait("handoff", MOVE, since, lambda data: data["step"] == "moving")
    ready = seat.wait("ready", MOVE, moving.time)
    frame = seat.wait("frame", MOVE, ready.time)
    return moving, frame


# --- sizes ---


def test_users_arrive_until_one_is_refused_and_leave(room, sit):
    allocator = expect.Allocator(room)
    seats = {}
    fit = allocator.capacity()
    for number, user in enumerate(USERS[:fit], 1):
        answer, began = allocator.arrives(user), time.monotonic()
        seats[user] = sit(user, number)
        expect.wait_sizes(room, answer)
        for name in expect.handed_off(answer):
            moved(seats[name], began)
            assert home.whole(seats[name]), f"{name}'s file after {answer['event']}"

    nobody = USERS[fit]
    assert allocator.arrives(nobody)["result"] == "refused"
    with pytest.raises(LabError, match="full"):
        sit(nobody, fit + 1, write=False)
    assert all(seat.running() for seat in seats.values())
    assert max(room.sampler.peak.values()) == CAPACITY

    for name in ("bob", "grace", "alice"):
        answer = allocator.leaves(name)
        seats[name].logout()
        expect.wait_sizes(room, answer)
    for name in ("alice", "bob"):
        answer = allocator.arrives(name)
        again = sit(name, USERS.index(name) + 1, write=False)
        expect.wait_sizes(room, answer)
        assert home.whole(again), f"{name}'s file at his return"
    invariants.check(room, [], room.sampler)


# --- the picture ---


class Film:
    """Pictures of a PC's screen, one after the other, from another thread."""

    def __init__(self, pc):
        self.pc, self.frames = pc, []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            screen = self.pc.screen()
            self.frames.append((screen.size, screen.colours(), kind(screen)))
            if screen.colours() < 4:
                screen.save(self.pc.lab.path("log", f"{self.pc.name}-blank.png"))
            self._stop.wait(0.15)


def kind(screen):
    """What the PC shows: the terminal as coloured in the old desktop, a new desktop, or neither."""
    if screen.share(home.GOOD) > home.SHARE:
        return "old"
    return "new" if way.desktop_on(screen) else "between"


def test_a_pc_shows_the_old_picture_until_it_has_the_new_one(room, sit):
    pc = room.pc("pc1")
    pc.power_on()
    try:
        way.wait_login_form(pc)
        way.login(pc, "alice", PASSWORDS["alice"])
        way.wait_desktop(pc)
        home.write(pc)  # and the terminal is coloured
        sit("bob", 2)
        before = room.admin.session("alice")
        with Film(pc) as film:
            sit("carol", 3, write=False)
            after = room.admin.wait_session("alice", "connected", MOVE)
            pc.watch(lambda s: kind(s) == "new", MOVE, "the new desktop")
        assert after["desktop"] != before["desktop"]
        assert (before["memory_mib"], after["memory_mib"]) == (CAPACITY, CAPACITY // 2)
        assert {size for size, _, _ in film.frames} == {film.frames[0][0]}, "the mode was changed"
        assert all(colours >= 4 for _, colours, _ in film.frames), "a blank screen"
        kinds = [k for _, _, k in film.frames]
        assert kinds[0] == "old" and kinds[-1] == "new"
        assert "old" not in kinds[kinds.index("new"):], "the old picture came back"
        # The picture stays, perhaps under a notice; what is between is no other screen.
        assert home.whole(pc)
    finally:
        pc.power_cut()


# --- the notice ---


def test_who_does_not_want_to_wait_says_move_now(room, sit):
    alice, _ = sit("alice", 1), sit("bob", 2, write=False)
    room.configure({"session": {"handoff_grace": "20"}})
    began = time.monotonic()
    carol = room.seat("seat3")
    carol.login("carol", PASSWORDS["carol"])
    notice = alice.wait("handoff", 60, began, lambda data: data["step"] == "announced")
    assert 0 < notice.data["ms"] <= 20_000
    assert (notice.data["from_mib"], notice.data["size_mib"]) == (CAPACITY, CAPACITY // 2)
    assert not alice.find("handoff", began, lambda data: data["step"] == "moving")
    assert home.whole(alice)  # she works on meanwhile
    alice.move_now()
    moving, _ = moved(alice, began)
    assert moving.time >= notice.time
    assert home.whole(alice)
    carol.wait("frame", MOVE, began)
    carol.leave()


@pytest.mark.full
def test_the_notice_gives_the_time_that_it_says(roomy, sit):
    alice = sit("alice", 1)
    roomy.configure({"session": {"handoff_grace": "5"}})
    began = time.monotonic()
    roomy.admin.move("alice", other(roomy, "alice"))
    notice = alice.wait("handoff", 60, began, lambda data: data["step"] == "announced")
    moving, _ = moved(alice, began)
    assert moving.time - notice.time > notice.data["ms"] / 1000 - 0.5


# --- what a user does in the middle ---


def test_a_user_roams_while_he_is_moved(roomy, sit):
    alice, log, began = sit("alice", 1), broker_log(roomy), time.monotonic()
    before = roomy.admin.session("alice")
    roomy.admin.move("alice", other(roomy, "alice"))
    at_step(log, "quiesce")
    there = sit("alice", 2, write=False)
    assert alice.wait_over(30).name == "moved"
    after = roomy.admin.wait_session("alice", "connected", MOVE)
    assert after["id"] == before["id"] and after["server"] != before["server"]
    assert there.wait("frame", MOVE, began)
    assert home.whole(there)
    invariants.check(roomy, [there], roomy.sampler)


@pytest.mark.full
def test_the_plug_is_pulled_while_he_is_moved(roomy, sit):
    alice, log = sit("alice", 1), broker_log(roomy)
    before = roomy.admin.session("alice")
    roomy.admin.move("alice", other(roomy, "alice"))
    at_step(log, "quiesce")
    alice.pull_plug()
    wait_until(lambda: roomy.admin.session("alice")["state"] in ("connected", "disconnected"), MOVE,
               lambda: f"alice's move is over; {roomy.admin.session('alice')}", step=0.3)
    here = sit("alice", 2, write=False)
    assert roomy.admin.session("alice")["desktop"] != before["desktop"]
    assert home.whole(here)
    invariants.check(roomy, [here], roomy.sampler)


@pytest.mark.full
@pytest.mark.parametrize("step", ["prepare", "quiesce", "claim"])
def test_a_user_logs_out_while_he_is_moved(roomy, sit, step):
    alice, log = sit("alice", 1), broker_log(roomy)
    roomy.admin.move("alice", other(roomy, "alice"))
    at_step(log, step)
    alice.logout()
    assert alice.wait_over(60).name == "ended"
    wait_until(lambda: roomy.admin.session("alice") is None, MOVE, "alice's session is over")
    invariants.check(roomy, [], roomy.sampler)
    assert home.read(roomy, "alice", home.SUM)
    assert not roomy.admin.rows("SELECT 1 FROM volume WHERE desktop != 0")


# --- servers ---


def three_users(room, sit):
    """alice, bob and carol on both servers; their seats by name."""
    seats = {user: sit(user, number) for number, user in enumerate(USERS[:3], 1)}
    for user, seat in seats.items():
        room.admin.wait_session(user, "connected", MOVE)
        assert home.whole(seat), user
    return seats


def test_a_lost_servers_users_come_again_on_the_other(room, sit):
    allocator = expect.Allocator(room)
    for user in USERS[:3]:
        allocator.arrives(user)
    seats = three_users(room, sit)
    victim = room.admin.session("alice")["server"]
    lost = [u for u in seats if room.admin.session(u)["server"] == victim]
    began = time.monotonic()
    room.servers.crash(victim)
    answer = allocator.lost(victim)
    for user in lost:
        seats[user].wait("frame", 300, began)
    expect.wait_sizes(room, answer, MOVE)
    assert any(line == f"off {victim}: certain" for line in room.pdu.log())
    for user, seat in seats.items():
        assert room.admin.session(user)["server"] != victim
        assert home.whole(seat), user

    room.servers.power_on(victim)
    room.servers.wait_up(victim, 120)
    allocator.returns(victim)
    invariants.check(room, list(seats.values()), room.sampler)
    assert all(room.admin.session(u)["server"] != victim for u in seats), "nobody moves for it"


@pytest.mark.parametrize("step", ["detach", pytest.param("claim", marks=pytest.mark.full)])
def test_a_server_is_cut_off_in_the_middle_of_a_move(roomy, sit, step):
    """The old desktop's server at `detach`, the new one's at `claim`: only its power switch tells
    that it does not write to the volume any more."""
    alice, log = sit("alice", 1), broker_log(roomy)
    old = roomy.admin.session("alice")["server"]
    new = other(roomy, "alice")
    cut, stays = (old, new) if step == "detach" else (new, old)
    began = time.monotonic()
    roomy.admin.move("alice", new)
    at_step(log, step)
    roomy.net.cable(cut, "eth0", False)
    alice.wait("frame", 300, began)
    wait_until(lambda: roomy.admin.session("alice")["server"] == stays and
               roomy.admin.session("alice")["state"] == "connected", MOVE,
               lambda: f"alice is on {stays}: {roomy.admin.session('alice')}", step=0.3)
    assert f"off {cut}: certain" in roomy.pdu.log()
    assert home.whole(alice)
    roomy.net.cable(cut, "eth0", True)
    roomy.servers.power_on(cut)
    roomy.servers.wait_up(cut, 120)
    invariants.check(roomy, [alice], roomy.sampler)


def test_a_drained_server_is_emptied_one_by_one(room, sit):
    seats, log = three_users(room, sit), broker_log(room)
    began = time.monotonic()
    drained = room.admin.session("alice")["server"]
    leave = [u for u in seats if room.admin.session(u)["server"] == drained]
    room.admin.carrel("server", "drain", drained, "--wait")
    status = next(s for s in room.admin.servers() if s["name"] == drained)
    assert status["used_mib"] == 0 and status["draining"]
    assert not [d for d, (server, _) in room.servers.desktops().items() if server == drained]
    for user in leave:
        moved(seats[user], began)
    one_at_a_time(log)
    # What is left keeps its reserve: all of them are as small as it takes.
    assert room.admin.status()["reserve_mib"] >= SMALL
    invariants.check(room, list(seats.values()), room.sampler)


def one_at_a_time(log):
    """No user was moved off the server before the one before him had his new desktop. Those on the
    others, who make room for them, are moved beside that."""
    log.read()
    at_work = None
    for line in log.lines:
        step = re.search(r"info handoff .*session=n(\d+).*text=\"?(\w+): (.*)", line)
        if not step:
            continue
        session, word, rest = step.groups()
        if "for drain" in rest:
            assert at_work in (None, session), f"two at once: {line}"
            at_work = session
        elif session == at_work and word in ("done", "undone"):
            at_work = None
