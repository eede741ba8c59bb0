# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel-viewer in a window under Xvfb, against a broker of few words and a real QEMU VNC server."""
import shutil
import socket
import subprocess
import time

import pytest

from viewer_lab import ROOT, SEAT, VIEWER, Broker, Desktop, Lab, Screen, Seat, Viewer, closing, wait_for
from viewer_rfb import (CHALLENGE, Painter, Rogue, anonymous_tls, certified, colour, offer,
                        old_version, rect, vencrypt)

NEEDED = ["Xvfb", "xdotool", "qemu-system-x86_64"]
MISSING = [tool for tool in NEEDED if not shutil.which(tool)]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason="missing: " + ", ".join(MISSING)),
    pytest.mark.skipif(not VIEWER.exists(), reason=f"{VIEWER} is not built"),
]


@pytest.fixture(scope="module", name="lab")
def fixture_lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("viewer"))


@pytest.fixture(name="seat")
def fixture_seat(lab, tmp_path):
    with closing(Seat(lab, tmp_path)) as (seat,):
        yield seat


@pytest.fixture(name="desktop")
def fixture_desktop(lab, tmp_path):
    with closing(Desktop(tmp_path / "desktop", lab.desktop)) as (desktop,):
        yield desktop


def lit(image, box):
    """How many pixels of the box are not nearly black."""
    return sum(1 for p in image.convert("L").crop(box).getdata() if p > 100)


def test_login_to_desktop_and_report(seat, desktop, tmp_path):
    body = seat.log_in("alice", 'p"\\w')
    assert body == {"user": "alice", "password": 'p"\\w', "seat": SEAT, "boot": []}
    seat.broker.send("stage", stage="placing", percent=30, message="")
    seat.viewer.wait("state from=login to=logging-in")
    seat.broker.ready(desktop, "abcd1234")
    report = seat.broker.expect("/v1/client/report")
    assert report["event"] == "first-frame" and 0 < report["ms"] < 20000
    wait_for("text of the firmware on the screen",
             lambda: lit(seat.screen.grab(), (0, 0, 1280, 400)) > 500)
    assert len(desktop.clients()) == 1
    # Neither password nor ticket is in the log.
    assert "abcd1234" not in seat.viewer.text() and 'p"' not in seat.viewer.text()


def test_wrong_password_is_said(seat, desktop, tmp_path):
    seat.log_in(password="wrong")
    before = seat.screen.grab()
    seat.broker.send("refused", code="denied", message="User name or password is wrong.")
    seat.viewer.wait("event=denied")

    def red():
        return sum(1 for r, g, b in seat.screen.grab().convert("RGB").getdata()
                   if r > 140 and g < 70 and b < 70)
    assert sum(1 for r, g, b in before.convert("RGB").getdata()
               if r > 140 and g < 70 and b < 70) == 0
    wait_for("the error in red", lambda: red() > 50)
    # The name is kept, the password is asked for again.
    seat.screen.type("secret1")
    seat.screen.key("Return")
    assert seat.broker.expect("/v1/client/login")["user"] == "alice"


def test_moved_closes_the_desktop(seat, desktop):
    seat.log_in()
    seat.broker.ready(desktop, "abcd1234")
    seat.broker.expect("/v1/client/report")
    seat.broker.send("moved", message="It is at seat 7 now.")
    seat.viewer.wait("to=message event=moved")
    wait_for("the connection's end", lambda: not desktop.clients())
    seat.screen.key("Return")
    seat.viewer.wait("to=login", times=2)
    seat.log_in("bob")


def test_lost_connection_comes_back(seat, desktop, lab, tmp_path):
    seat.log_in()
    seat.broker.ready(desktop, "abcd1234")
    seat.broker.expect("/v1/client/report")
    wait_for("the picture", lambda: lit(seat.screen.grab(), (0, 0, 1280, 300)) > 500)
    desktop.close()
    seat.viewer.wait("to=lost")
    seat.broker.expect("/v1/client/reconnect")
    # The last picture stays, dimmed: there, and not bright any more.
    wait_for("the dimmed picture", lambda: 20 < max(
        seat.screen.grab().convert("L").crop((0, 0, 1280, 200)).getdata()) < 120)
    # A way that leads nowhere is asked for again, by and by.
    seat.broker.ready(None, "abcd1234", port=desktop.port)
    seat.broker.expect("/v1/client/reconnect")
    with closing(Desktop(tmp_path / "again", lab.desktop, desktop.port)) as (again,):
        seat.broker.ready(again, "efgh5678")
        seat.viewer.wait("from=lost to=desktop")
        assert seat.broker.expect("/v1/client/report")["event"] in ("lost", "first-frame")
        seat.viewer.close()


def test_menu_leaves_and_logs_out(seat, desktop):
    seat.log_in()
    seat.broker.ready(desktop, "abcd1234")
    seat.broker.expect("/v1/client/report")
    seat.screen.key("ctrl+alt+shift+q")
    seat.screen.key("Down", "Return")  # leave the seat
    seat.viewer.wait("event=disconnect")
    wait_for("the connection's end", lambda: not desktop.clients())
    seat.log_in()
    seat.broker.ready(desktop, "efgh5678")
    seat.broker.expect("/v1/client/report")
    seat.screen.key("ctrl+alt+shift+q")
    seat.screen.key("Up", "Return")  # log out
    seat.broker.expect("/v1/client/logout")
    seat.viewer.wait("event=logout")


def test_second_ready_swaps(seat, desktop, lab, tmp_path):
    seat.log_in()
    seat.broker.ready(desktop, "abcd1234")
    seat.broker.expect("/v1/client/report")
    with closing(Desktop(tmp_path / "second", lab.desktop)) as (second,):
        seat.broker.ready(second, "efgh5678")
        seat.broker.expect("/v1/client/report")
        wait_for("the first connection's end", lambda: not desktop.clients())
        assert len(second.clients()) == 1
        assert "to=lost" not in seat.viewer.text()
        seat.viewer.close()


def test_ready_for_the_same_desktop(seat, desktop):
    """As after the broker's restart: the server ends the first connection for the second, and the
    picture stays all the while."""
    seat.log_in()
    seat.broker.ready(desktop, "abcd1234")
    seat.broker.expect("/v1/client/report")
    with seat.broker.lock:
        seat.broker.streams[-1].put(None)
    seat.broker.expect("/v1/client/events")
    seat.broker.ready(desktop, "efgh5678")
    seat.broker.expect("/v1/client/report")
    wait_for("one connection", lambda: len(desktop.clients()) == 1)
    assert "to=lost" not in seat.viewer.text()


def test_desktop_under_another_name_is_refused(seat, desktop):
    seat.log_in()
    seat.broker.ready(desktop, "abcd1234", tls_name="server2.carrel.test")
    seat.viewer.wait("to=message event=desktop-unsafe")
    assert "does not match hostname" in seat.viewer.text()


def test_desktop_of_another_ca_is_refused(seat, lab, tmp_path):
    with closing(Desktop(tmp_path / "rogue", lab.rogue)) as (rogue,):
        seat.log_in()
        seat.broker.ready(rogue, "abcd1234")
        seat.viewer.wait("to=message event=desktop-unsafe")


@pytest.mark.parametrize("name", ["none", "vnc", "rfb-3.3", "plain-vencrypt", "plain-vnc-vencrypt",
                                  "anonymous-tls", "x509-none"])
def test_no_downgrade(seat, lab, name):
    """Whatever a man in the middle offers: no answer to its challenge, no ClientInit, no picture."""
    ways = {
        "none": offer(1),
        "vnc": offer(2),
        "rfb-3.3": old_version,
        "plain-vencrypt": vencrypt(256, lambda rogue, peer: None),
        "plain-vnc-vencrypt": vencrypt(2, lambda rogue, peer: peer.sendall(b"\x01" + CHALLENGE)),
        "anonymous-tls": vencrypt(258, anonymous_tls),
        "x509-none": vencrypt(260, certified(lab.desktop)),
    }
    with closing(Rogue(ways[name])) as (rogue,):
        seat.log_in()
        seat.broker.ready(None, "abcd1234", port=rogue.port)
        seat.viewer.wait("to=message event=desktop-unsafe")
        assert rogue.done.wait(10)
        if name == "anonymous-tls":
            assert rogue.handshake_done, "the rogue's TLS never came about: nothing was tested"
        assert "first-frame" not in seat.viewer.text()
        # Version 12, type 1, VeNCrypt version 2, sub-type 4: no room for a 16 byte answer.
        assert len(rogue.got) < 12 + 1 + 2 + 4 + 16
        assert b"abcd1234" not in rogue.got


def test_broker_of_another_ca_is_refused(lab, tmp_path):
    with closing(Broker(lab.rogue), Screen(tmp_path)) as (broker, screen):
        viewer = Viewer(tmp_path, screen.display, broker.url, lab.authority.file)
        try:
            viewer.wait("certificate is not trusted")
            assert "to=login" not in viewer.text()
        finally:
            viewer.close()


def test_broker_away_at_login(seat):
    seat.viewer.wait("to=login")
    seat.broker.server.shutdown()
    seat.broker.server.server_close()
    seat.screen.type("alice")
    seat.screen.key("Tab")
    seat.screen.type("secret1")
    seat.screen.key("Return")
    seat.viewer.wait("state from=logging-in to=login event=login-failed")


def test_token_gone_asks_for_a_new_login(seat, desktop):
    """The broker was replaced: the desktop stays while it lasts, then the form comes back."""
    seat.log_in()
    seat.broker.ready(desktop, "abcd1234")
    seat.broker.expect("/v1/client/report")
    seat.broker.tokens.clear()
    with seat.broker.lock:
        seat.broker.streams[-1].put(None)
    seat.viewer.wait("token-refused")
    assert len(desktop.clients()) == 1
    desktop.qmp("quit")
    seat.viewer.wait("to=message event=token-gone")


def test_keys_and_pointer_reach_the_desktop(seat, lab, tmp_path):
    """QEMU's own trace says which key numbers came."""
    with closing(Desktop(tmp_path / "desktop", lab.desktop)) as (desktop,):
        desktop.qmp("trace-event-set-state", name="input_event_key_*", enable=True)
        desktop.qmp("trace-event-set-state", name="input_event_rel", enable=True)
        seat.log_in()
        seat.broker.ready(desktop, "abcd1234")
        seat.broker.expect("/v1/client/report")
        seat.screen.key("a", "Hangul", "Alt_R", "Up", "F12")
        log = tmp_path / "desktop" / "qemu.log"

        def came(*words):
            return all(word in log.read_text(errors="replace") for word in words)
        wait_for("the keys in QEMU's trace", lambda: came(
            "qcode a,", "qcode lang1,", "qcode up,", "qcode f12,", "qcode alt_r,"))

        # The firmware knows no tablet: QEMU makes relative steps of our positions.
        def moved():
            seat.screen.xdotool("mousemove", "300", "300")
            seat.screen.xdotool("mousemove", "640", "400")
            return came("input_event_rel")
        wait_for("the pointer in QEMU's trace", moved)


def test_a_pc_that_waits_for_approval_says_so(lab, tmp_path):
    """Before anybody logs in, and until the broker says otherwise: after a session, for instance."""
    with closing(Seat(lab, tmp_path)) as (seat,):
        seat.viewer.wait("to=login")
        line = (446, 456, 834, 514)  # between the password and the button

        def words():
            return len(seat.screen.grab().crop(line).getcolors(65536)) > 1
        wait_for("the form without words", lambda: not words())
        seat.broker.hello["held"] = "This PC waits for approval: 52:54:00:77:00:01, 10.77.0.5."
        seat.log_in()
        seat.broker.send("ended", code="logout", message="Bye.")
        seat.viewer.wait("to=message event=ended")
        seat.screen.key("Return")
        seat.viewer.wait(" held")
        wait_for("the words on the form", words)
        del seat.broker.hello["held"]
        seat.log_in()
        seat.broker.send("ended", code="logout", message="Bye.")
        seat.viewer.wait("to=message event=ended", times=2)
        seat.screen.key("Return")
        seat.viewer.wait(" approved")
        wait_for("the form without them", lambda: not words())


@pytest.mark.parametrize("power, status", [("off", 10), ("reboot", 11)])
def test_power(lab, tmp_path, power, status):
    """The broker says so at the form; who is typing is let in, and asked again after his session."""
    with closing(Seat(lab, tmp_path)) as (seat,):
        seat.viewer.wait("to=login")
        seat.broker.hello["power"] = power
        seat.log_in()
        seat.broker.send("ended", code="logout", message="Bye.")
        seat.viewer.wait("to=message event=ended")
        seat.screen.key("Return")
        seat.status = status
        assert seat.viewer.process.wait(10) == status
        assert "power order=" + power in seat.viewer.text()


def knock(seat, text=b"carrel knock\n", source="127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((source, 0))
        s.sendto(text, ("127.0.0.1", int(seat.broker.url.rsplit(":", 1)[1])))


def test_knocks(lab, tmp_path):
    """The form asks at once when the broker knocks, once a second at most, and does what it is told."""
    with closing(Seat(lab, tmp_path)) as (seat,):
        seat.viewer.wait("to=login")
        seat.broker.expect("/v1/client/hello")
        for text, source in ((b"carrel", "127.0.0.1"), (b"carrel knock\n\n", "127.0.0.1"), (b"carrel knock\n", "127.0.0.2")):
            knock(seat, text, source)
        began = time.monotonic()
        knock(seat)
        assert seat.broker.expect("/v1/client/hello", 5) == {"seat": SEAT}
        for _ in range(20):
            knock(seat)
        seat.broker.expect("/v1/client/hello", 5)
        assert time.monotonic() - began >= 0.9
        seat.broker.language = "ko"
        knock(seat)
        seat.broker.expect("/v1/client/hello", 5)
        assert seat.broker.requests.empty()
        seat.broker.hello["power"] = "reboot"
        seat.status = 11
        knock(seat)
        assert seat.viewer.process.wait(10) == 11


def test_korean_site(lab, tmp_path):
    with closing(Seat(lab, tmp_path, "--language", "ko", language="ko")) as (seat,):
        assert seat.broker.expect("/v1/client/hello") == {"seat": SEAT}
        seat.log_in()
        seat.broker.send("refused", code="full", message="자리가 없습니다.")
        seat.viewer.wait("to=message event=refused")
        assert "자리가 없습니다." in seat.viewer.text()


def test_command_line():
    help_text = subprocess.run([VIEWER, "--help"], capture_output=True, text=True, check=True)
    page = (ROOT / "broker/man/carrel-viewer.1").read_text().replace("\\-", "-")
    for option in ("--broker", "--ca", "--seat", "--boot-report", "--console", "--window",
                   "--font", "--language", "--help", "--version"):
        assert option in help_text.stdout and option in page
    wrong = subprocess.run([VIEWER, "--seat", "x"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "--broker is needed" in wrong.stderr
    version = subprocess.run([VIEWER, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("carrel-viewer ")


def test_cursor_lamps_and_sizes(seat, lab):
    with closing(Painter(lab.desktop, "abcd1234")) as (painter,):
        seat.log_in()
        seat.broker.ready(None, "abcd1234", port=painter.port)
        assert painter.ready.wait(20)
        assert painter.shared == 0
        assert -308 not in painter.encodings and -257 not in painter.encodings
        assert {-223, -239, -258, -261, 0, 7} <= set(painter.encodings)
        # Half of the picture is not a frame.
        painter.send(rect(0, 0, 640, 200, 0, colour(640, 200, (200, 0, 0))),
                     rect(0, 0, 1, 1, -261, b"\x04"))
        wait_for("the next request", lambda: len(painter.updates) > 1)
        assert "first-frame" not in seat.viewer.text()
        painter.send(rect(0, 200, 640, 200, 0, colour(640, 200, (0, 200, 0))))
        assert seat.broker.expect("/v1/client/report")["event"] == "first-frame"

        def pixel(x, y):
            return seat.screen.grab().convert("RGB").getpixel((x, y))
        # 640x400 is shown twice as large, as sharp squares.
        wait_for("the picture", lambda: pixel(10, 399) == (200, 0, 0)
                 and pixel(1270, 400) == (0, 200, 0))
        # A blue cursor of 8x8, its hot spot in the middle, the left half clear.
        painter.send(rect(4, 4, 8, 8, -239, colour(8, 8, (0, 0, 200)) + b"\x0f" * 8))
        seat.screen.xdotool("mousemove", "600", "300")
        wait_for("the cursor", lambda: pixel(604, 300) == (0, 0, 200))
        assert pixel(596, 300) == (200, 0, 0) and pixel(620, 300) == (200, 0, 0)
        seat.screen.xdotool("mousemove", "900", "700")
        wait_for("the cursor's new place", lambda: pixel(904, 700) == (0, 0, 200))
        assert pixel(604, 300) == (200, 0, 0)
        # A change of size: shown in the middle, pixel for pixel.
        requests = len(painter.updates)
        painter.send(rect(0, 0, 1200, 700, -223))
        wait_for("the request for all of it", lambda: any(
            u == (0, 0, 0, 1200, 700) for u in painter.updates[requests:]))
        painter.send(rect(0, 0, 1200, 700, 0, colour(1200, 700, (200, 200, 0))))
        wait_for("the new size", lambda: pixel(40, 50) == (200, 200, 0)
                 and pixel(39, 400) == (0, 0, 0) and pixel(640, 49) == (0, 0, 0))
        # A size that no memory should be given for ends the connection, not the viewer.
        painter.send(rect(0, 0, 60000, 60000, -223))
        seat.viewer.wait("to=lost")
        seat.broker.expect("/v1/client/reconnect")


def test_server_that_hangs_up_in_a_rectangle(seat, lab):
    with closing(Painter(lab.desktop, "abcd1234")) as (painter,):
        seat.log_in()
        seat.broker.ready(None, "abcd1234", port=painter.port)
        assert painter.ready.wait(20)
        painter.send(rect(0, 0, 640, 400, 0, colour(640, 400, (1, 2, 3))))
        seat.broker.expect("/v1/client/report")
        painter.send(rect(0, 0, 640, 400, 7, b"\xff\xff\xff"))
        painter.tls.shutdown(socket.SHUT_RDWR)
        seat.viewer.wait("to=lost")
        seat.broker.expect("/v1/client/reconnect")
