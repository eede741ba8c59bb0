# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of whole network boots have in common: the PCs of netlab.py, seen from their consoles."""
import os

import firmware
from clientimage import ROOT, run

BOOT_S = 240  # a virtual PC on a busy machine; OVMF alone takes 10 s of it


def uefi(lab, secure=False, http=False, forbidden=None):
    """The firmware of a UEFI PC; `secure`: Secure Boot is on, and knows the site's key alone. `forbidden`
    is a signature list for its dbx."""
    return firmware.uefi(lab.path("flash.fd"), lab.path("secure-boot") if secure else None, http, forbidden)


def comes_up(pc):
    """To the stand-in for the viewer, which was given this PC's card as its seat; the command line."""
    pc.console.wait("is the published one", BOOT_S)
    arguments = pc.console.wait("STANDIN argv", BOOT_S).split()
    cmdline = pc.console.wait("STANDIN cmdline", 5)
    pc.console.wait("STANDIN end", 5)
    print("power-on to viewer: %.1f s" % pc.seconds())
    assert arguments[arguments.index("--seat") + 1] == pc.mac
    return cmdline.split(" ", 2)[2]


def is_refused(pc):
    """The firmware says so, and nothing of Carrel's has run."""
    pc.console.wait("Access Denied", BOOT_S)
    for word in ("Carrel: ", "Kernel panic", "STANDIN"):
        assert word not in pc.console.text


def served(lab, end):
    """What is served beside the root image, or (`.root`) that itself."""
    folder = lab.path("state/boot/http/images")
    (name,) = [name for name in os.listdir(folder) if name.endswith(end)]
    return os.path.join(folder, name)


def root_file(lab):
    return served(lab, ".root")


def make_unsigned(path):
    run("sbattach", "--remove", path)


def sign_with_another_key(lab, path):
    """As good as ours, but nobody has enrolled it."""
    make_unsigned(path)
    other = lab.path("other")
    run(os.path.join(ROOT, "scripts/carrel-pki"), "--dir", other, "boot-key")
    run("sbsign", "--key", other + "/secure-boot.key", "--cert", other + "/secure-boot.crt", "--output", path,
        path)
