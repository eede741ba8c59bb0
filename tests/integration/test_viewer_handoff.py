# SPDX-License-Identifier: GPL-2.0-or-later
"""A hand-off as the person at the seat sees it: announced, moving, one swap. The desktops are servers
of one colour each, so that every screenshot says whose picture it is."""
import io
import re
import shutil
import subprocess
import threading

import pytest

from viewer_lab import DESKTOP_NAME, VIEWER, Lab, Seat, closing, free_port, wait_for
from viewer_rfb import Painter, colour, rect

NEEDED = ["Xvfb", "xdotool", "tesseract"]
MISSING = [tool for tool in NEEDED if not shutil.which(tool)]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason="missing: " + ", ".join(MISSING)),
    pytest.mark.skipif(not VIEWER.exists(), reason=f"{VIEWER} is not built"),
]

OLD, OTHER, NEW = (0, 0, 200), (0, 160, 0), (200, 100, 0)
NOTICE = (255, 243, 214)
# Beside the card in the middle, between banner and toast.
SIDE = (0, 120, 300, 680)
CENTRE = (600, 300, 680, 500)
HEAD = (0, 0, 1280, 110)
FOOT = (0, 690, 1280, 800)


@pytest.fixture(scope="module", name="lab")
def fixture_lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("viewer"))


@pytest.fixture(name="seat")
def fixture_seat(lab, tmp_path):
    with closing(Seat(lab, tmp_path)) as (seat,):
        yield seat


@pytest.fixture(name="old")
def fixture_old(lab):
    with closing(Painter(lab.desktop, "old-word")) as (painter,):
        yield painter


@pytest.fixture(name="new")
def fixture_new(lab):
    with closing(Painter(lab.desktop, "new-word")) as (painter,):
        yield painter


def connect(seat, painter):
    seat.broker.ready(None, painter.password, port=painter.port)
    assert painter.ready.wait(20), "the viewer never asked for a picture"


def begin(seat, painter):
    """The person is at work on the old desktop."""
    seat.log_in()
    connect(seat, painter)
    painter.paint(OLD)
    assert seat.broker.expect("/v1/client/report")["event"] == "first-frame"
    wait_for("the old picture", lambda: colours(seat, SIDE) == {OLD})


def colours(seat, box, image=None):
    image = image or seat.screen.grab()
    return {rgb for _, rgb in image.convert("RGB").crop(box).getcolors(1 << 20)}


def shows(seat, box, rgb, least=1000):
    """Is there much of the colour in the box?"""
    counts = {c: n for n, c in seat.screen.grab().convert("RGB").crop(box).getcolors(1 << 20)}
    return counts.get(rgb, 0) >= least


def move(seat):
    """The picture stands still, under the card."""
    seat.broker.handoff("moving")
    seat.viewer.wait("to=moving")
    wait_for("the card", lambda: shows(seat, CENTRE, (248, 249, 251)))


def read(image, language="eng"):
    """The words in a picture."""
    image = image.convert("L").resize((image.width * 2, image.height * 2))
    return subprocess.run(
        ["tesseract", "stdin", "stdout", "-l", language, "--psm", "6"], input=png(image),
        capture_output=True, check=True).stdout.decode()


def png(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def seconds_shown(seat):
    found = re.search(r"in (\d+) ?s", read(seat.screen.grab().crop(HEAD)))
    return int(found.group(1)) if found else None


def pressed(painter, letter):
    return (1, ord(letter)) in painter.keys


def test_announced(seat, old):
    begin(seat, old)
    seat.broker.handoff("announced", ms=27500)
    wait_for("the banner", lambda: shows(seat, HEAD, NOTICE))
    words = read(seat.screen.grab().crop(HEAD))
    for part in ("smaller one", "from 2048 to 1024", "Your files stay", "Save your work",
                 "Ctrl + Alt + Shift + M"):
        assert part in words, words
    first = wait_for("the countdown", lambda: seconds_shown(seat))
    assert 15 <= first <= 28
    wait_for("the countdown to go on", lambda: (seconds_shown(seat) or first) < first)
    # The desktop works on: keys reach it, and what it draws is seen.
    seat.screen.key("a")
    wait_for("the key", lambda: pressed(old, "a"))
    old.paint(OTHER)
    wait_for("its drawing", lambda: colours(seat, SIDE) == {OTHER})
    # The banner gets out of the pointer's way.
    seat.screen.xdotool("mousemove", "640", "30")
    wait_for("the banner at the foot", lambda: shows(seat, FOOT, NOTICE)
             and colours(seat, HEAD) == {OTHER})
    seat.broker.handoff("cancelled")
    wait_for("the banner's end", lambda: not shows(seat, FOOT, NOTICE))
    seat.viewer.wait("step=cancelled")
    assert "to=moving" not in seat.viewer.text()


def test_announced_for_now(seat, old):
    begin(seat, old)
    seat.broker.handoff("announced", ms=0, from_mib=1024, size_mib=2048)
    wait_for("the banner", lambda: shows(seat, HEAD, NOTICE))
    words = read(seat.screen.grab().crop(HEAD))
    assert "a larger one" in words and "now." in words, words


def test_move_now_by_chord(seat, old):
    begin(seat, old)
    # Nothing is announced: the chord is the desktop's.
    seat.screen.key("ctrl+alt+shift+m")
    wait_for("the chord at the desktop", lambda: any(k in (0x4d, 0x6d) for _, k in old.keys))
    seat.broker.handoff("announced", ms=60000)
    wait_for("the banner", lambda: shows(seat, HEAD, NOTICE))
    old.keys.clear()
    seat.screen.key("ctrl+alt+shift+m")
    seat.broker.expect("/v1/client/move-now")
    wait_for("the answer", lambda: "asked to move" in read(seat.screen.grab().crop(HEAD)))
    seat.screen.key("z")
    wait_for("the next key", lambda: pressed(old, "z"))
    assert not any(k in (0x4d, 0x6d) for _, k in old.keys)


def test_move_now_by_menu(seat, old):
    begin(seat, old)
    seat.broker.handoff("announced", ms=60000)
    wait_for("the banner", lambda: shows(seat, HEAD, NOTICE))
    seat.screen.key("ctrl+alt+shift+q")
    seat.screen.key("Down", "Return")
    seat.broker.expect("/v1/client/move-now")
    # Nothing announced any more: the same keys leave the seat.
    seat.broker.handoff("cancelled")
    wait_for("the banner's end", lambda: not shows(seat, HEAD, NOTICE))
    seat.screen.key("ctrl+alt+shift+q")
    seat.screen.key("Down", "Return")
    seat.viewer.wait("event=disconnect")
    assert old.done.wait(20)


def test_move_now_refused_is_no_end(seat, old):
    begin(seat, old)
    seat.broker.refused.add("/v1/client/move-now")
    seat.broker.handoff("announced", ms=60000)
    wait_for("the banner", lambda: shows(seat, HEAD, NOTICE))
    seat.screen.key("ctrl+alt+shift+m")
    seat.viewer.wait("token-refused path=/v1/client/move-now")
    move(seat)
    assert "token-gone" not in seat.viewer.text()


class Sampler:
    """Screenshots, one after the other, until told to stop."""

    def __init__(self, seat):
        self.seat, self.images, self.over = seat, [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.is_set():
            self.images.append(self.seat.screen.grab())

    def close(self):
        self.over.set()
        self.thread.join()

    def more(self, count=3):
        """Until some more have been taken."""
        have = len(self.images)
        wait_for("screenshots", lambda: len(self.images) >= have + count)


def test_one_swap(seat, old, new):
    """Old picture under the card, or new picture without it: never anything else."""
    begin(seat, old)
    move(seat)
    with closing(Sampler(seat)) as (sampler,):
        # The old desktop goes on to draw; nobody sees it, not even where the card is drawn anew.
        old.paint(OTHER)
        seat.broker.send("stage", stage="claiming", percent=60, message="")
        before = sampler.images[-1].crop(CENTRE)
        wait_for("the stage", lambda: sampler.images[-1].crop(CENTRE) != before)
        sampler.more()
        connect(seat, new)
        # Half of the new picture is none.
        asked = len(new.updates)
        new.send(rect(0, 0, 640, 200, 0, colour(640, 200, NEW)))
        wait_for("the next request", lambda: len(new.updates) > asked)
        sampler.more()
        assert "first-frame" not in seat.viewer.text().split("to=moving")[1]
        new.send(rect(0, 200, 640, 200, 0, colour(640, 200, NEW)))
        report = seat.broker.expect("/v1/client/report")
        wait_for("the new picture", lambda: colours(seat, SIDE) == {NEW})
        sampler.more()
    assert report["event"] == "first-frame"
    seen = [(colours(seat, SIDE, i), colours(seat, CENTRE, i)) for i in sampler.images]
    assert {frozenset(side) for side, _ in seen} == {frozenset({OLD}), frozenset({NEW})}
    swapped = [side == {NEW} for side, _ in seen]
    assert swapped == sorted(swapped), "the old picture came back"
    for side, centre in seen:
        assert (centre == {NEW}) == (side == {NEW}), "card and picture changed apart"
    seat.viewer.wait("swap gap_ms=")
    found = re.search(r"swap gap_ms=(\d+) frozen_ms=(\d+)", seat.viewer.text())
    assert int(found.group(1)) < 2000
    assert report["ms"] <= int(found.group(2)) < 60000
    assert old.done.wait(20), "the old connection is still open"
    assert "to=lost" not in seat.viewer.text()


def test_keys_reach_neither(seat, old, new):
    begin(seat, old)
    seat.screen.xdotool("mousemove", "100", "300", "keydown", "x", "mousedown", "1")
    wait_for("key and button", lambda: pressed(old, "x") and old.pointers
             and old.pointers[-1][0] == 1)
    # All goes up before the picture stands still.
    move(seat)
    wait_for("key and button up", lambda: old.keys[-1] == (0, ord("x"))
             and old.pointers[-1][0] == 0)
    heard = len(old.keys), len(old.pointers)
    seat.screen.key("b")
    seat.screen.xdotool("mousemove", "120", "320")
    connect(seat, new)
    seat.screen.key("d")
    new.paint(NEW)
    seat.viewer.wait("swap gap_ms=")
    seat.screen.key("c")
    wait_for("the next key", lambda: (0, ord("c")) in new.keys)
    seat.screen.xdotool("mousemove", "140", "340")
    wait_for("the pointer", lambda: new.pointers)
    seat.screen.xdotool("mouseup", "1", "keyup", "x")
    assert new.keys == [(1, ord("c")), (0, ord("c"))]
    assert {buttons for buttons, *_ in new.pointers} == {0}
    assert old.done.wait(20)
    assert (len(old.keys), len(old.pointers)) == heard


def test_a_key_held_over_the_swap(lab, tmp_path, old, new):
    """Its repeats go on all the while, and are nothing to the new desktop."""
    with closing(Seat(lab, tmp_path, environment={"CARREL_DEBUG": "1"})) as (seat,):
        begin(seat, old)
        seat.screen.xdotool("keydown", "x")
        wait_for("repeats", lambda: old.keys.count((1, ord("x"))) > 3)
        move(seat)
        connect(seat, new)
        new.paint(NEW)
        seat.viewer.wait("swap gap_ms=")
        seat.viewer.wait("repeat-dropped", times=5)
        assert new.keys == []
        seat.screen.xdotool("keyup", "x")
        seat.screen.key("x")
        wait_for("the key pressed afresh", lambda: new.keys == [(1, ord("x")), (0, ord("x"))])


def test_old_desktop_dies_while_moving(seat, old, new):
    begin(seat, old)
    move(seat)
    old.hang_up()
    seat.viewer.wait("old-connection-lost")
    seat.broker.send("stage", stage="connecting", percent=90, message="")
    wait_for("the bar", lambda: shows(seat, (360, 300, 920, 500), (35, 99, 159), 500))
    assert colours(seat, SIDE) == {OLD}
    connect(seat, new)
    new.paint(NEW)
    # Not asked for by the viewer: the broker gives the way of itself.
    assert seat.broker.expect("/v1/client/report")["event"] == "first-frame"
    wait_for("the new picture", lambda: colours(seat, SIDE) == {NEW})
    assert "to=lost" not in seat.viewer.text()
    assert not any(path == "/v1/client/reconnect" for path, _ in list(seat.broker.requests.queue))


def test_second_connection_fails_then_succeeds(seat, old, new):
    begin(seat, old)
    move(seat)
    seat.broker.ready(None, "new-word", port=free_port())
    seat.broker.expect("/v1/client/reconnect")
    assert colours(seat, SIDE) == {OLD}
    connect(seat, new)
    new.paint(NEW)
    wait_for("the new picture", lambda: colours(seat, SIDE) == {NEW})
    seat.viewer.wait("swap gap_ms=")
    assert "to=lost" not in seat.viewer.text()


def test_cancelled_while_moving(seat, old):
    begin(seat, old)
    move(seat)
    old.paint(OTHER)
    seat.broker.handoff("cancelled")
    seat.viewer.wait("from=moving to=desktop")
    # What it has drawn meanwhile, whole, and its keyboard.
    wait_for("the old desktop", lambda: colours(seat, SIDE) == {OTHER}
             and colours(seat, CENTRE) == {OTHER})
    seat.screen.key("a")
    wait_for("the key", lambda: pressed(old, "a"))
    old.paint(OLD)
    wait_for("its next drawing", lambda: colours(seat, SIDE) == {OLD})
    assert "swap gap_ms" not in seat.viewer.text()


def test_cancelled_after_the_old_desktop_died(seat, old, new):
    begin(seat, old)
    move(seat)
    old.hang_up()
    seat.viewer.wait("old-connection-lost")
    seat.broker.handoff("cancelled")
    seat.viewer.wait("to=lost")
    seat.broker.expect("/v1/client/reconnect")
    connect(seat, new)
    new.paint(NEW)
    wait_for("the desktop", lambda: colours(seat, SIDE) == {NEW})


def test_moving_from_a_lost_desktop(seat, old, new):
    begin(seat, old)
    old.hang_up()
    seat.viewer.wait("to=lost")
    wait_for("the dimmed picture", lambda: colours(seat, SIDE) not in ({OLD}, {NEW}))
    move(seat)
    wait_for("the picture as it was", lambda: colours(seat, SIDE) == {OLD})
    connect(seat, new)
    new.paint(NEW)
    wait_for("the new picture", lambda: colours(seat, SIDE) == {NEW})
    seat.viewer.wait("swap gap_ms=")


def test_moving_before_the_first_picture(seat, old, new):
    seat.log_in()
    connect(seat, old)
    move(seat)
    connect(seat, new)
    old_end = old.done.wait(20)
    new.paint(NEW)
    wait_for("the new picture", lambda: colours(seat, SIDE) == {NEW})
    assert old_end, "the way to the old desktop is still open"


@pytest.mark.parametrize("event", ["moved", "ended", "refused"])
def test_the_login_ends_while_moving(seat, old, event):
    begin(seat, old)
    move(seat)
    seat.broker.send(event, code="admin", message="It is at seat 7 now.")
    seat.viewer.wait(f"from=moving to=message event={event}")
    assert old.done.wait(20)
    seat.screen.key("Return")
    seat.viewer.wait("to=login", times=2)


def test_leaving_while_moving(seat, old):
    begin(seat, old)
    move(seat)
    seat.screen.key("ctrl+alt+shift+q")
    seat.screen.key("Up", "Return")
    seat.broker.expect("/v1/client/logout")
    seat.viewer.wait("from=moving to=login event=logout")
    assert old.done.wait(20)


def test_token_gone_while_moving(seat, old):
    begin(seat, old)
    move(seat)
    seat.broker.tokens.clear()
    with seat.broker.lock:
        seat.broker.streams[-1].put(None)
    seat.viewer.wait("from=moving to=message event=token-gone")
    assert old.done.wait(20)


def test_new_desktop_that_cannot_be_verified(seat, lab, old):
    begin(seat, old)
    move(seat)
    with closing(Painter(lab.rogue, "new-word")) as (rogue,):
        seat.broker.ready(None, "new-word", tls_name=DESKTOP_NAME, port=rogue.port)
        seat.viewer.wait("from=moving to=message event=desktop-unsafe")
        assert old.done.wait(20)


def test_korean(lab, tmp_path, old):
    with closing(Seat(lab, tmp_path, "--language", "ko", language="ko")) as (seat,):
        begin(seat, old)
        seat.broker.handoff("announced", ms=60000)
        wait_for("the banner", lambda: shows(seat, HEAD, NOTICE))
        words = read(seat.screen.grab().crop(HEAD), "kor+eng").replace(" ", "")
        assert "데스크톱" in words and "저장" in words and "1024" in words, words
        move(seat)
        words = read(seat.screen.grab().crop((360, 250, 920, 550)), "kor+eng").replace(" ", "")
        assert "옮기는" in words, words
