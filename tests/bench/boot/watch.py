# SPDX-License-Identifier: GPL-2.0-or-later
"""When a login form came onto a PC's screen, and what had crossed its wire by then.

Pictures are taken all the while; each that differs from the one before is kept with its time and the
wire's counters. Reading costs processor time that the emulated PC lacks meanwhile, so it is done
once in READ_S at most, and what was skipped is read when the form has been found: the first
picture that shows it counts.
"""

import re
import time

from carrel_lab import LabError, LabTimeout, way

LOOK_S, READ_S = 0.2, 1.5
GRAPHIC_WIDTH = 800  # a text screen has fewer pixels
XDM_FORM = r"welcome to .*log[il1]n"


def carrel_form(screen):
    return way.card_on(screen) and bool(re.search(way.LOGIN_FORM, screen.text(way.CARD), re.I))


def xdm_form(screen):
    return (screen.size[0] >= GRAPHIC_WIDTH and screen.colours() > 4 and
            bool(re.search(XDM_FORM, screen.text(), re.I)))


def wait_form(pc, form, seconds):
    """(seconds since power-on, bytes to the PC, bytes from it, picture)."""
    unread, last, read_at = [], None, 0.0
    while True:
        if not pc.running():
            raise LabError(f"{pc.name} went off before its login form came")
        at, screen = pc.elapsed(), pc.screen()
        if screen.difference(last) > 0:
            unread.append((at, *pc.wire_bytes(), screen))
            last = screen
        if unread and pc.elapsed() - read_at >= READ_S:
            if form(unread[-1][-1]):
                break
            unread, read_at = [], pc.elapsed()
        if at > seconds:
            path = pc.lab.path("log", f"{pc.name}-no-form.png")
            pc.shot(path)
            raise LabTimeout(f"no login form within {seconds} s; the screen is in {path}")
        time.sleep(LOOK_S)
    return next((look for look in unread[:-1] if form(look[-1])), unread[-1])
