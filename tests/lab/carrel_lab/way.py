# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person does at a lab PC, and what she sees: used by the demo and by the tests.

A test that asserts a screen uses the words and colours named here, once, so that a change of the
viewer's or the desktop's look is a change of this file alone.
"""

import datetime
import re
import time

from .errors import LabError, LabTimeout, wait_until

FIRMWARE = r"PXE|SeaBIOS|TFTP"
LOGIN_FORM = r"pass ?word"
MOVED = r"has moved|another (seat|place)"
ENDED = r"session has ended|logged out"
NO_SERVER = r"no server for desktops"
DESKTOP_FAILED = r"could not be started|was not ready"
VOLUME_DAMAGED = r"home is damaged"
DENIED = r"name or password is wrong"
DESKTOP_COLOUR = (0x3B, 0x5B, 0x7A)  # background of the session of desktop-lite (system.jwmrc)
TASKBAR_COLOUR = (0x23, 0x2A, 0x33)
TITLE_COLOUR = (0x2B, 0x6C, 0xB0)    # of the window that has the keyboard

CARD = (0.32, 0.24, 0.68, 0.76)      # where the viewer's form and messages stand
CARD_COLOUR = (248, 249, 251)

BOOT_TIMEOUT = 180   # seconds; a busy machine may be four times slower than the aim
LOGIN_TIMEOUT = 240


def wait_firmware(pc, seconds=60):
    return pc.wait_text(FIRMWARE, seconds)


FAILURE_PAGE = r"PC could not be started"
FAILURE_CODE = (26, 62, 138, 82)     # pixels of the text screen, 720x400


def card_on(screen):
    """The viewer's form or one of its messages is shown."""
    return screen.share(CARD_COLOUR, region=CARD) > 0.2


def failed(screen):
    """The PC says why it cannot start; LabError then."""
    if screen.colours() < 2 or screen.size[0] >= 800:
        return False
    text = screen.text()
    if re.search(FAILURE_PAGE, text, re.IGNORECASE):
        raise LabError(f"the PC says: {failure_code(screen)}: {text}")
    return False


def failure_code(screen):
    """The code of the failure page, which stands in inverse letters; OCR mistakes O, S for 0, 5."""
    text = screen.text(FAILURE_CODE, line=True)
    found = re.search(r"CARREL-B([0-9OSI]{2})\b", text)
    return "CARREL-B" + found[1].translate(str.maketrans("OSI", "051")) if found else text


def wait_failure(pc, words, seconds=BOOT_TIMEOUT):
    """The PC says that it could not start, with `words`; returns that screen."""
    return pc.wait_text(FAILURE_PAGE + ".*" + words, seconds)


def wait_login_form(pc, seconds=BOOT_TIMEOUT):
    """The login form is on the screen. Before the viewer's picture mode there is nothing to read:
    OCR would only take the emulated PC's processor time."""
    deadline = time.monotonic() + seconds
    pc.watch(lambda s: card_on(s) or failed(s), seconds, "the viewer's form")
    seconds = max(1, deadline - time.monotonic())
    return pc.wait_text(LOGIN_FORM, seconds, region=CARD)


def to_form(pc, seconds=60, clear=False):
    """Leads a PC back to the login form: confirms a message; `clear` empties the form, too."""
    def form(screen):
        if not card_on(screen):
            return False
        text = screen.text(CARD)
        if re.search(LOGIN_FORM, text, re.IGNORECASE):
            return True
        pc.key("ret")
        return False

    pc.watch(form, seconds, "the login form after a message", step=1)
    if clear:
        # Both fields emptied; Enter without a name puts the cursor into the name's field.
        pc.key("esc", "tab", "esc", "ret")


def message(screen, pattern):
    """What stands on the card from the words that `pattern` finds on, letters only: OCR differs in
    the rest."""
    text = re.sub(r"[^a-z]+", " ", screen.text(CARD).lower())
    found = re.search(pattern, text)
    return text[found.start():].strip() if found else ""


def wait_login_form_after_failure(pc, seconds=BOOT_TIMEOUT):
    """The login form of a PC that showed the failure page before."""
    pc.watch(card_on, seconds, "the viewer's form after a failure")
    return pc.wait_text(LOGIN_FORM, 30, region=CARD)


def login(pc, user, password):
    pc.type(f"{user}\t{password}\n")


def desktop_on(screen):
    """Background and task bar of the desktop are drawn, and not dimmed."""
    return (screen.share(DESKTOP_COLOUR) > 0.2 and
            screen.share(TASKBAR_COLOUR, region=(0, 0.95, 1, 1)) > 0.2)


def wait_desktop(pc, seconds=LOGIN_TIMEOUT):
    """The desktop is drawn on this PC."""
    return pc.watch(desktop_on, seconds, "the desktop is drawn")


def wait_window(pc, seconds=60):
    """A window has the keyboard; after a login that is the terminal. What is typed into it before
    its shell runs is read by it later."""
    return pc.watch(lambda s: s.share(TITLE_COLOUR, region=(0, 0, 1, 0.9)) > 0.005, seconds,
                    "a window has the keyboard")


def wait_terminal(pc, seconds=60):
    """The terminal that the session opens shows its prompt."""
    return pc.wait_text(r"[a-z]+@desktop", seconds, region=(0, 0, 1, 0.9))


def shell(pc, command, expect=None, seconds=30, tries=2):
    """Types a command into the terminal on the desktop; waits for `expect` on the screen.

    The expected text must not be in the command itself, else its echo would do. The command must do
    no harm when it is given twice: on a machine so busy that the desktop's X server takes a key for
    a held one, a letter comes double, and the line is typed again."""
    if expect and re.search(expect, command, re.IGNORECASE):
        raise LabError(f"the pattern {expect!r} is found in the command itself")
    for remaining in range(tries - 1, -1, -1):
        pc.type(command + "\n")
        if not expect:
            return None
        try:
            return pc.wait_text(expect, seconds)
        except LabTimeout:
            if not remaining:
                raise
            pc.key("ctrl-c")
    return None


def log_out(pc, seconds=90):
    """Logs out inside the desktop; the PC says so, and a key leads back to the login form."""
    wait_terminal(pc)
    pc.type("jwm -exit\n")
    pc.watch(card_on, seconds, "the session's end is told")
    return to_form(pc, seconds)


def first_frame(lab, user, after, seconds=30):
    """The ledger of `user`'s login that closed after wall-clock second `after`."""
    def closed():
        for ledger in reversed(lab.admin.ledger()):
            stages = {s["stage"]: s["ms"] for s in ledger["stages"]}
            if ledger["user"] == user and "first-frame" in stages and wall(ledger) >= after - 1:
                return ledger
        return None

    return wait_until(closed, seconds, f"the ledger of {user}'s login is closed", step=0.3)


def wall(ledger):
    """Seconds since 1970 of a ledger's `wall`."""
    import datetime
    text = ledger["wall"].replace("Z", "+00:00")
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return moment.timestamp()


def now():
    return time.time()
