# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's errors, and waiting for a condition with a deadline."""

import time


class LabError(Exception):
    """Something is wrong; the text names the thing, what was wrong and what to do."""


class LabTimeout(LabError):
    """A condition did not come true in time."""


def wait_until(condition, seconds, what, step=0.05):
    """Polls `condition` until it gives something true, which is returned.

    `what` says in the error what was waited for: a text, or a function that makes one.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise LabTimeout(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(step)
