# SPDX-License-Identifier: GPL-2.0-or-later
"""The users, the servers' sizes and the order that the lab's tests begin with."""

from carrel_lab.errors import wait_until

PASSWORDS = {"alice": "rabbit-hole 1865", "bob": "pudding 7", "carol": "carol-carol 3"}
PASSWORDS.update({name: f"{name}-password" for name in ("dave", "erin", "frank", "grace", "heidi",
                                                        "ivan")})

# Two servers of 2048 MiB for desktops: one user has 2048, three have 1024 each, seven 512 each, and
# eight fit.
CAPACITY = 2048
HALVING = {"desktop": {"max_mib": "2048", "min_mib": "512", "standby": "0"},
           "session": {"handoff_grace": "0"}, "server": {"lost_after": "5"}}
# Small desktops of one size: they boot quickly, and there is room for a move to either server.
ONE_SIZE = {**HALVING, "desktop": {"max_mib": "512", "min_mib": "512", "standby": "0"}}


def all_up(lab):
    """Are they? One that is off is switched on: the broker may have one switched off even now, for
    a test that failed in the middle."""
    for server in lab.servers.names():
        if not lab.servers.is_on(server):
            lab.servers.power_on(server)
    return all(s["state"] == "up" for s in lab.admin.servers())


def put_in_order(lab, conf=HALVING):
    """Cables plugged, everything on, nothing drained, nobody there: as a test begins. What the
    test before has left is ended."""
    for number in range(1, 10):
        seat = lab.seat(f"seat{number}")
        seat.plug_in()
        seat.leave()
    for server in lab.servers.names():
        lab.net.cable(server, "eth0", True)
        lab.admin.carrel("server", "drain", server, "--off")
    lab.configure(conf)
    wait_until(lambda: all_up(lab), 240, lambda: f"all servers are up: {lab.admin.servers()}",
               step=0.5)
    lab.admin.end_sessions()
