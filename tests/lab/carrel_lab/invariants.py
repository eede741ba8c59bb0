# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold whatever was killed: asked for once everything has come to rest."""

import os

from . import home
from .errors import LabError, wait_until

SETTLE = 240  # seconds: a desktop boots, or a timeout of the broker's has to pass
RESTING = ("standby", "active")


def unknown_vms(lab):
    """VMs of desktops that the broker does not know, and those it believes in that are not there."""
    known = {d["id"]: d["server"] for d in lab.admin.desktops()}
    there = {desktop: server for desktop, (server, _) in lab.servers.desktops().items()}
    return {"only on the server": sorted(there.items() - known.items()),
            "only in the broker": sorted(known.items() - there.items())}


def stale_forwards(lab):
    """Forwards that lead to no session's desktop, and sessions with a viewer that have none."""
    desktops = {d["id"]: d for d in lab.admin.desktops()}
    wanted = set()
    for s in lab.admin.sessions():
        if s["state"] == "connected":
            wanted.add((s["client"], desktops.get(s["desktop"], {}).get("vnc_port")))
    there = {(f["client"], f["server_port"]) for f in lab.boot.forwards()}
    allowed = wanted | {(s["client"], desktops.get(s["desktop"], {}).get("vnc_port"))
                        for s in lab.admin.sessions() if s["state"] == "disconnected"}
    return {"stale": sorted(there - allowed, key=str), "missing": sorted(wanted - there, key=str)}


def stray_leases(lab):
    """Volumes leased to a desktop that is not there."""
    return lab.admin.rows("SELECT v.id, v.user, v.desktop FROM volume v WHERE v.desktop != 0 AND "
                          "v.desktop NOT IN (SELECT id FROM desktop)")


def unrest(lab):
    """What still moves: '' when nothing does."""
    moving = [(d["id"], d["state"]) for d in lab.admin.desktops() if d["state"] not in RESTING]
    moving += [(s["user"], s["state"]) for s in lab.admin.sessions()
               if s["state"] not in ("connected", "disconnected", "ended", "queued")]
    moving += [(s["name"], s["state"]) for s in lab.admin.servers()
               if s["state"] != "up" and lab.servers.is_on(s["name"])]
    return str(moving) if moving else ""


def wrong(lab):
    """Everything that is wrong now, as texts."""
    found = [f"VMs {kind}: {vms}" for kind, vms in unknown_vms(lab).items() if vms]
    found += [f"forwards {kind}: {rows}" for kind, rows in stale_forwards(lab).items() if rows]
    leases = stray_leases(lab)
    if leases:
        found.append(f"volumes leased to desktops that are gone: {leases}")
    return found


def rest(lab, seconds=SETTLE):
    """Waits until nothing moves and nothing is wrong; the error says what is."""
    def state():
        try:
            return unrest(lab) or "; ".join(wrong(lab))
        except LabError as error:
            return str(error)

    wait_until(lambda: not state(), seconds, lambda: f"all has come to rest: {state()}", step=0.5)


def volumes(lab):
    """File systems of the volumes that are in no desktop: at most a journal is to be replayed."""
    for user, in lab.admin.rows("SELECT user FROM volume WHERE desktop = 0"):
        if os.path.exists(lab.servers.volume_file(user)):
            with home.replayed(lab, user):
                pass


def sessions_up(lab, seats):
    """Each seat's user has his session and, at it, his files."""
    for seat in seats:
        session = lab.admin.wait_session(seat.user, "connected", 60)
        if session["seat"].lower() != seat.mac:
            raise LabError(f"{seat.user}'s session is at {session['seat']}, not at {seat.name} "
                           f"({seat.mac})")
        if not home.whole(seat):
            raise LabError(f"{seat.name}: {seat.user}'s file is not what he wrote")


def check(lab, seats, sampler):
    """All of it. `seats`: those whose users must be at work."""
    rest(lab)
    sessions_up(lab, seats)
    volumes(lab)
    sampler.check()
