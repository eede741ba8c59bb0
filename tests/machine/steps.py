# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps of README.md's section "The boot server", in its own words."""

import os
import re

from carrel_lab.errors import LabError

from bootserver_vm import CLIENT_MAC, SERVER_MAC, TOP, pack

ALICE = "rabbit-hole 1865"


def readme(pattern):
    """What README.md says, by the first group of a pattern that it must match."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as f:
        found = re.search(pattern, f.read(), re.DOTALL)
    if not found:
        raise LabError(f"README.md does not say {pattern!r}: correct it, or tests/machine/steps.py")
    return found[1]


INSTALL = readme(r"`sudo (systemd-sysusers && sudo systemd-tmpfiles --create)`").replace("sudo ", "")
NGINX_OFF = readme(r"`sudo (systemctl disable --now nginx)`")
ENABLE = readme(r"`sudo (systemctl enable --now carrel\.target [^`]+)`")
CONF = readme(r"```\n   (\[network\]\n.*?)```").replace("\n   ", "\n").strip() + "\n"


def install(server):
    """Step 1; what was compiled elsewhere is unpacked."""
    server.run("mkdir /root/carrel && tar -x -C /root/carrel -f /dev/vdb && cd /root/carrel && "
               "tar -c -C installed . | tar -x -C / --no-same-owner --keep-directory-symlink "
               "--no-overwrite-dir")
    server.run(INSTALL)
    server.run(NGINX_OFF)


def configure(server):
    """Step 2: addresses of the cards, and README's carrel.conf with this machine's names."""
    lan, srv = server.interface(CLIENT_MAC), server.interface(SERVER_MAC)
    interfaces = "".join(f"auto {name}\niface {name} inet static\n\taddress {address}\n"
                         for name, address in ((lan, "10.77.0.1/24"), (srv, "10.78.0.1/24")))
    conf = CONF.replace("eth1", lan).replace("eth0", srv)
    assert lan in conf and srv in conf
    server.run(f"cat >>/etc/network/interfaces <<'END'\n{interfaces}END\n"
               f"cat >/etc/carrel/carrel.conf <<'END'\n{conf}END\n"
               "systemctl restart networking && carrel config check")


def bring_keys_and_image(server):
    """Steps 3 and 4: the site's keys from a backup, the others made; the PCs' image as it was built
    with their CA."""
    server.run("install -m 600 /root/carrel/backup/* /etc/carrel/pki/ && "
               "cd /root/carrel/sources && scripts/carrel-pki init", 300)
    server.run("cp -a /root/carrel/images/client /var/lib/carrel/images/")


def set_up(server):
    """The whole section, on a server that was switched off and has nothing of Carrel."""
    os.mkdir(server.path("admin"))
    pack(server.path("admin"), server.path("admin.tar"))
    server.power_on(server.path("admin.tar"))
    install(server)
    configure(server)
    bring_keys_and_image(server)
    server.run(ENABLE, 240)
    server.run(f"echo '{ALICE}' | carrel user add alice --password-stdin")
