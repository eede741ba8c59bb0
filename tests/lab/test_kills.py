# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of every part at every step of a login, a hand-off and a logout. Whatever is killed, in the
end there is no VM that the broker does not know, no stale forward, no lease without a desktop, no
volume in two desktops, no broken file system and no lost file; and who was at work still is.

A few combinations run always; `full` (make check-full) runs all of them, and a hundred kills at
random."""

import contextlib
import random
import time

import pytest

from carrel_lab import LabError, Sampler, home, invariants
from carrel_lab.errors import wait_until
from carrel_lab.kill import STEPS, Killer, Log, guest_agent
from carrel_lab.school import ONE_SIZE, PASSWORDS, put_in_order

pytestmark = [pytest.mark.lab, pytest.mark.root]

PATIENCE = 300
# On the hand-off's two servers; what "old" and "new" are is known when it begins.
VICTIMS = ("carreld", "carrel-netd", "carrel-authd", "virtd-old", "virtd-new", "libvirtd-old",
           "libvirtd-new", "qemu-old", "qemu-new")
ALWAYS = {("login", "claiming", "carreld"),
          ("handoff", "quiesce", "carreld"), ("handoff", "detach", "carreld"),
          ("handoff", "claim", "qemu-new"), ("handoff", "detach", "libvirtd-old"),
          ("handoff", "switch", "carrel-netd"),
          ("logout", "release", "qemu-old")}
RANDOM_KILLS = 100


def makes_sense(phase, step, victim):
    """Is there such a process at that step? "old" is what the user has when it begins, "new" where he
    is led to."""
    if phase == "login":
        return not victim.endswith("-old") and not (
            victim.endswith("-new") and step in ("authenticating", "placing"))
    if phase == "logout":
        return not victim.endswith("-new") and (victim, step) != ("qemu-old", "destroy")
    # What is led to does not exist yet, or has not begun to; what was left ends when its disk is out.
    return not (victim.endswith("-new") and step == "announce") and (victim, step) not in (
        ("qemu-new", "prepare"), ("qemu-old", "claim"), ("qemu-old", "switch"))


def matrix():
    for phase, steps in STEPS.items():
        for step in steps:
            for victim in VICTIMS:
                if makes_sense(phase, step, victim):
                    marks = () if (phase, step, victim) in ALWAYS else (pytest.mark.full,)
                    yield pytest.param(phase, step, victim, marks=marks)


class Work:
    """alice and bob, at work from test to test: what is killed must not keep them from it."""

    def __init__(self, lab):
        self.lab = lab
        self.alice, self.bob = lab.seat("seat1"), lab.seat("seat2")
        self.sampler = None

    def begin(self):
        """Both at work with a file of theirs, whatever the test before has left."""
        try:
            invariants.rest(self.lab)
        except LabError:
            put_in_order(self.lab, ONE_SIZE)
        for seat, user in ((self.alice, "alice"), (self.bob, "bob")):
            if not self.at_work(seat):
                self.log_in(seat, user)
                home.write(seat)

    def at_work(self, seat):
        session = self.lab.admin.session(seat.user) if seat.user else None
        return bool(session and session["state"] == "connected" and seat.running())

    def log_in(self, seat, user):
        """Logs in until it works: a login may be refused when a part of its way was killed."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return seat.enter(user, PASSWORDS[user], PATIENCE)
            except LabError as error:
                if time.monotonic() > deadline or not seat.over():
                    raise LabError(f"{user} cannot log in after a kill: {error}") from error
                time.sleep(0.5)

    def act(self, phase):
        """Begins what the kill falls into. The broker may die over the request itself."""
        with contextlib.suppress(OSError, LabError):
            if phase == "login":
                self.alice.login("alice", PASSWORDS["alice"])
            elif phase == "handoff":
                server = self.lab.admin.session("alice")["server"]
                self.lab.admin.move("alice", next(s for s in self.lab.servers.names()
                                                  if s != server))
            else:
                self.alice.logout()

    def kill(self, phase, step, victim):
        """One kill: alice is brought to where the phase begins, and begins it."""
        if phase == "login":
            self.alice.logout()
            self.alice.wait_over(60)
            invariants.rest(self.lab)
        roles = Roles(self.lab, "alice", victim)
        with Killer(self.lab, roles.name, STEPS[phase][step], PATIENCE) as killer:
            self.act(phase)
            killer.wait()
        return killer

    def come_out(self, phase):
        """How it must end: alice at work again, or gone for good when she wanted to."""
        invariants.rest(self.lab)
        if phase == "logout":
            # A broker that was killed before it had written the wish down does not know of it.
            if self.at_work(self.alice):
                self.alice.logout()
            wait_until(lambda: self.lab.admin.session("alice") is None, PATIENCE,
                       lambda: f"alice is logged out: {self.lab.admin.session('alice')}", step=0.3)
        elif not self.at_work(self.alice):
            self.log_in(self.alice, "alice")
        seats = [self.bob] if phase == "logout" else [self.bob, self.alice]
        invariants.check(self.lab, seats, self.sampler)


@pytest.fixture(scope="module")
def pair(make_pair):
    lab = make_pair("kills", ONE_SIZE)
    lab.work = Work(lab)
    return lab


@pytest.fixture
def work(pair):
    pair.work.begin()
    with Sampler(pair) as sampler:
        pair.work.sampler = sampler
        yield pair.work


class Roles:
    """Which process `qemu-old` and the like are, said when it is to be killed."""

    def __init__(self, lab, user, victim):
        self.lab, self.user, self.victim = lab, user, victim
        session = lab.admin.session(user) or {}
        self.desktop, self.server = session.get("desktop"), session.get("server")

    def next_desktop(self):
        """(desktop, server) of what the user is being led to."""
        row = self.lab.admin.rows("SELECT id, desktop, next FROM session WHERE user = ? AND "
                                  "until = 0", self.user)
        desktop = (row[0][2] or row[0][1]) if row else 0
        for d in self.lab.admin.desktops():
            if d["id"] == desktop:
                return desktop, d["server"]
        raise LabError(f"{self.user} is led to no desktop now; his session: {row}")

    def name(self, _match):
        kind, _, which = self.victim.partition("-")
        if which not in ("old", "new"):
            return self.victim
        desktop, server = (self.desktop, self.server) if which == "old" else self.next_desktop()
        return f"{kind}-{desktop if kind == 'qemu' else server}"


@pytest.mark.parametrize("phase, step, victim", matrix())
def test_a_kill_leaves_everything_in_order(work, phase, step, victim):
    killer = work.kill(phase, step, victim)
    if killer.killed == "carreld":
        assert killer.revived_after < 1, "the broker answers again within a second"
    work.come_out(phase)


def test_the_agent_is_killed_when_the_programs_have_ended(work):
    """Between `quiesce` and the unmounting, by the user's own hand: nobody else reaches it."""
    assert home.told(work.alice, guest_agent("alice"))
    log = Log(work.lab.path("log", "carreld.log"))
    work.act("handoff")
    log.wait(STEPS["handoff"]["quiesce"], PATIENCE)
    work.come_out("handoff")


@pytest.mark.full
def test_a_hundred_kills_at_random(work):
    """The seed is in the name of the failure, so that the order can be had again."""
    seed = int(time.time())
    chance = random.Random(seed)
    for number in range(RANDOM_KILLS):
        phase = chance.choice(sorted(STEPS))
        step = chance.choice(sorted(STEPS[phase]))
        victim = chance.choice([v for v in VICTIMS if makes_sense(phase, step, v)])
        try:
            work.begin()
            work.kill(phase, step, victim)
            work.come_out(phase)
        except (LabError, OSError) as error:
            raise AssertionError(f"seed {seed}, kill {number}: {victim} at {step} of {phase}: "
                                 f"{error}") from error
