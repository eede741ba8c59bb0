# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself: two at once, and down after a crash of `up`."""

import os
import signal
import subprocess
import sys

import pytest

from carrel_lab import Lab
from carrel_lab.errors import wait_until
from carrel_lab.net import run
from carrel_lab.state import State

pytestmark = [pytest.mark.lab, pytest.mark.root]

LAB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lab")
QUIET = {"desktop": {"standby": "0"}}


def leftovers(name):
    namespaces = run("ip", "netns", "list").stdout
    return [line for line in namespaces.splitlines() if line.startswith(f"cl-{name}-")]


def test_two_labs_at_once(make_lab):
    one = make_lab("one", conf=QUIET)
    two = make_lab("two", conf=QUIET)
    for lab in (one, two):
        lab.servers.wait_up("s1", 300)
    one.admin.carrel("server", "drain", "s1")
    assert one.admin.servers()[0]["draining"]
    assert not two.admin.servers()[0]["draining"]
    one.down()
    assert not leftovers("one")
    assert two.admin.servers()[0]["state"] == "up"
    assert all(p.alive() for p in two.state.processes()
               if p.name in ("dnsmasq", "nginx", "carreld", "carrel-netd", "carrel-authd"))
    two.down()
    assert not leftovers("two")


@pytest.mark.parametrize("moment", ["netns", "server", "process"])
def test_down_after_up_was_killed(moment):
    """`lab up` is killed as soon as it has recorded its first `moment`."""
    lab = Lab("killed")
    lab.down()
    up = subprocess.Popen([sys.executable, LAB, "up", "--name", "killed"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = State(lab.directory)
    try:
        wait_until(lambda: any(e["kind"] == moment for e in state.entries()), 60,
                   f"`lab up` has made a {moment}", step=0.002)
    finally:
        up.send_signal(signal.SIGKILL)
        up.wait()
    processes = state.processes()
    down = run(sys.executable, LAB, "down", "--name", "killed")
    assert "is down" in down.stdout
    assert not leftovers("killed")
    assert not any(p.alive() for p in processes)
    assert not state.marked()
    assert not os.path.exists(lab.directory)
    again = run(sys.executable, LAB, "down", "--name", "killed")
    assert "was not up" in again.stdout
    assert not os.path.exists(lab.directory)


def test_a_lab_that_is_up_is_not_brought_up_again(tmp_path):
    directory = str(tmp_path / "lab")
    State(directory).create()
    result = run(sys.executable, LAB, "up", "--directory", directory, check=False)
    assert result.returncode == 1
    assert "lab down" in result.stderr
