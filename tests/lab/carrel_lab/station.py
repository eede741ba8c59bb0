# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a person sits: what can be waited for on a screen, and typing. The same for a PC with its
own hardware (pc.py) and for one that is a program (seat.py); each brings name, lab, running(),
screen() and key()."""

import re
import time

from .errors import LabError, LabTimeout
from .qmp import KEYS

KEY_GAP = 0.06  # seconds between two keys, a quick typist's


class Station:
    """Waits on a screen."""

    def shot(self, path):
        return self.screen().save(path)

    def _give_up(self, seconds, what, screen, text=""):
        path = self.lab.path("log", f"{self.name}-timeout-{int(time.time())}.png")
        if screen is not None:
            screen.save(path)
        raise LabTimeout(f"{self.name}: not within {seconds:g} s: {what}; its screen ({path}) "
                         f"says: {text or '(nothing legible)'}")

    def watch(self, predicate, seconds, what, step=0.3):
        """Polls the screen until predicate(screen) is true; returns that screen."""
        deadline = time.monotonic() + seconds
        screen = None
        while True:
            if not self.running():
                raise LabError(f"{self.name} is off while it was awaited that: {what}")
            screen = self.screen()
            if predicate(screen):
                return screen
            if time.monotonic() >= deadline:
                self._give_up(seconds, what, screen, screen.text())
            time.sleep(step)

    def wait_text(self, pattern, seconds, region=None, languages="eng", never=None, scale=2):
        """Waits until the regular expression `pattern` (any case) is read on the screen, and
        returns that screen. Reads only pictures that changed. `never`: a pattern that ends the
        waiting as an error."""
        deadline = time.monotonic() + seconds
        last, text = None, ""
        while True:
            if not self.running():
                raise LabError(f"{self.name} is off while {pattern!r} was awaited on its screen")
            screen = self.screen()
            if screen.difference(last) > 0:
                last = screen
                text = screen.text(region, languages, scale) if screen.colours(region) > 1 else ""
                if re.search(pattern, text, re.IGNORECASE):
                    return screen
                if never and re.search(never, text, re.IGNORECASE):
                    self._give_up(seconds, f"text {pattern!r}, but {never!r} came", screen, text)
            if time.monotonic() >= deadline:
                self._give_up(seconds, f"text {pattern!r}", screen, text)
            time.sleep(0.25)

    def wait_colour(self, colour, seconds, share=0.01, region=None, tolerance=8):
        """Waits until at least `share` of the region has `colour`."""
        return self.watch(lambda s: s.share(colour, region, tolerance) >= share, seconds,
                          f"{share:.0%} of the screen in colour {colour}")

    def wait_still(self, quiet, seconds, tolerance=0.002):
        """Waits until the picture has not changed (by more than `tolerance` of its pixels) for
        `quiet` seconds, and returns it."""
        last, since = None, time.monotonic()

        def still(screen):
            nonlocal last, since
            if screen.difference(last) > tolerance:
                last, since = screen, time.monotonic()
            return time.monotonic() - since >= quiet

        return self.watch(still, seconds, f"a picture that rests for {quiet:g} s")

    def type(self, text, gap=KEY_GAP):
        """Types text on a US keyboard; \\n is Enter, \\t Tab, \\b Backspace."""
        for character in text:
            if character not in KEYS:
                raise LabError(f"a US keyboard has no key for {character!r}")
            name, shift = KEYS[character]
            self.key(f"shift-{name}" if shift else name, gap=gap)
