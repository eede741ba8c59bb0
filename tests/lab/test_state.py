# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's journal: it ends its own processes and no others, also after a crash."""

import os
import socket
import subprocess
import sys

import pytest

from carrel_lab import LabError
from carrel_lab.errors import wait_until
from carrel_lab.net import Net, inside, netns_exists, run
from carrel_lab.state import Process, State, process_stat

pytestmark = pytest.mark.root

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def state(tmp_path):
    s = State(str(tmp_path / "lab"))
    s.create()
    yield s
    s.end_processes()


def test_a_process_is_in_the_journal_before_its_program_runs(state, tmp_path):
    # The program itself looks for its own id in the journal.
    out = tmp_path / "out"
    p = state.spawn("x", ["sh", "-c", f'grep -c "\\"pid\\": $$," {state.path}'], str(out))
    assert p.wait(10)
    assert out.read_text().strip() == "1"


def test_a_process_with_another_start_time_is_not_ours(state):
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        start = process_stat(stranger.pid)[1]
        state.append(kind="process", name="old", pid=stranger.pid, start=start - 1)
        state.end_processes()
        assert stranger.poll() is None
        assert not Process("old", stranger.pid, start - 1).alive()
    finally:
        stranger.kill()
        stranger.wait()


def test_children_of_ours_are_ended_too(state, tmp_path):
    out = tmp_path / "out"
    p = state.spawn("parent", ["sh", "-c", "setsid sleep 300 & echo $!; exec sleep 300"], str(out))
    child = int(wait_until(lambda: out.read_text().strip(), 10, "the child's id"))
    wait_until(lambda: len(state.marked()) >= 2, 10, "both run")
    state.end_processes()
    assert not p.alive()
    stat = process_stat(child)
    assert stat is None or stat[0] == "Z"


def test_a_process_that_ignores_term_is_killed(state, tmp_path):
    out = tmp_path / "out"
    p = state.spawn("deaf", ["sh", "-c", 'trap "" TERM; echo ready; while :; do sleep 1; done'],
                    str(out))
    wait_until(lambda: out.exists() and "ready" in out.read_text(), 10, "it ignores TERM")
    p.end(patience=0.3)
    assert not p.alive()


def test_after_a_restart_of_the_machine_nothing_is_touched(state):
    state.append(kind="boot", id="another", lab=state.id)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        state.append(kind="process", name="x", pid=stranger.pid,
                     start=process_stat(stranger.pid)[1])
        state.end_processes()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_torn_line_is_left_out(state):
    with open(state.path, "a", encoding="utf-8") as f:
        f.write('{"kind": "proc')
    assert [e["kind"] for e in state.entries()] == ["boot"]


def test_down_in_another_process_ends_what_a_killed_one_made(tmp_path):
    directory = str(tmp_path / "lab")
    code = f"""
import sys, os, signal
sys.path.insert(0, {HERE!r})
from carrel_lab.state import State
from carrel_lab.net import Net
s = State({directory!r}); s.create()
Net(s, "tstate").up(1)
s.spawn("sleeper", ["sleep", "300"], os.devnull)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -9
    s = State(directory)
    p = s.process("sleeper")
    assert p is not None and netns_exists("cl-tstate-boot")
    s.end_processes()
    Net(s, "tstate").down()
    assert not p.alive()
    assert not any(n.startswith("cl-tstate-") for n in os.listdir("/run/netns"))


def test_a_namespace_of_somebody_else_is_left_alone(state):
    run("ip", "netns", "add", "cl-tother-lan")
    try:
        net = Net(state, "tother")
        with pytest.raises(LabError, match="exists already"):
            net.up(1)
        net.down()
        assert netns_exists("cl-tother-lan")
    finally:
        run("ip", "netns", "del", "cl-tother-lan")


def test_the_machine_itself_gets_no_interface_address_or_rule(state):
    def machine():
        return [run(*c.split(), check=False).stdout for c in
                ("ip -br link", "ip -br addr", "ip route", "nft list ruleset")]

    before = machine()
    net = Net(state, "tmach")
    net.up(2)
    try:
        net.tap("pc1")
        assert machine() == before
        with inside(net.ns("s2")):
            listener = socket.create_server(("10.78.0.12", 16514))
        with listener, inside(net.ns("boot")):
            socket.create_connection(("10.78.0.12", 16514), timeout=5).close()
            net.cable("s2", "eth0", False)
            with pytest.raises(OSError):
                socket.create_connection(("10.78.0.12", 16514), timeout=0.5)
    finally:
        net.down()
    assert machine() == before
