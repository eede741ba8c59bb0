# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps of README.md's sections "The boot server" and "Virtualization servers", in their own words."""

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
RENDER = readme(r"After a change of carrel\.conf:\s+`sudo ([^`]+)`").replace("sudo ", "")
DRY_RUN = readme(r"sudo (scripts/prepare-server --dry-run root@server1)\n")
PREPARE = readme(r"sudo (scripts/prepare-server --volumes \S+ root@server1)\n")
SERVER_ADD = readme(r"`sudo (carrel server add server1 [^`]+)`")
GANESHA_OFF = readme(r"`sudo (systemctl disable --now nfs-ganesha)`")
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
    conf = CONF.replace("eth1", lan)
    assert lan in conf
    server.run(f"cat >>/etc/network/interfaces <<'END'\n{interfaces}END\n"
               f"cat >/etc/carrel/carrel.conf <<'END'\n{conf}END\n"
               "systemctl restart networking && carrel config check")
    found = server.run("carrel config show")
    for key, value in (("client_address", "10.77.0.1/24"), ("client_range", "10.77.0.100-10.77.0.250"),
                       ("server_interface", srv), ("server_network", "10.78.0.0/24")):
        assert re.search(rf"^network +{key} +{value} +found", found, re.M), found


def bring_keys_and_image(server):
    """Steps 3 and 4: the site's keys from a backup, the others made; the PCs' image as it was built
    with their CA."""
    server.run("install -m 600 /root/carrel/backup/* /etc/carrel/pki/ && "
               "cd /root/carrel/sources && scripts/carrel-pki init", 300)
    server.run("cp -a /root/carrel/images/client /var/lib/carrel/images/")


# Desktops of this machine's size. prepare-server says that libvirt's network cannot be had from a host
# without iptables, and what to write then.
DESKTOPS = "[desktop]\nmax_mib = 512\nmin_mib = 512\nstandby = 1\nnetwork = none\n\n[volume]\nsize_mib = 512\n"


def change_conf(server, script):
    """carrel.conf is changed by a shell script; then what README tells to do after that."""
    server.run(f"{script} && carrel config check && {RENDER}", 240)


def bring_later_client(server):
    """A build has left another version of the PCs' image."""
    server.run("mv /root/carrel/later/* /var/lib/carrel/images/client/")


def prepare_server(server, virt):
    """Step 1 of "Virtualization servers": by ssh, as root. The host has its packages, and no systemd
    to start something by. What the dry run has said, and what the run itself."""
    key = server.run("ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519 && cat /root/.ssh/id_ed25519.pub")
    known = virt.power_on(key)
    server.run(f"echo '{virt.address} {virt.name}' >>/etc/hosts && echo '{known}' >/root/.ssh/known_hosts")
    options = "--no-packages --no-services"
    said = []
    for command in (DRY_RUN, re.sub(r"--volumes \S+ ", "", PREPARE)):
        said.append(server.run(f"cd /root/carrel/sources && {command} {options}", 240))
    virt.start_libvirt()
    return said


def bring_desktops(server):
    """The desktops' image has been built, and carrel.conf says how large they are."""
    server.run("mv /root/carrel/images/desktop-lite /var/lib/carrel/images/")
    change_conf(server, f"cat >>/etc/carrel/carrel.conf <<'END'\n\n{DESKTOPS}END\ntrue")


def take_ganesha(server):
    """The kernel has no NFS server any more, and the admin does what README tells then. The packages lie where
    apt keeps what it has fetched."""
    server.run("systemctl stop nfs-server && umount /proc/fs/nfsd && modprobe -r nfsd && "
               "mv /lib/modules/$(uname -r)/kernel/fs/nfsd /root/ && depmod")
    server.run("DEBIAN_FRONTEND=noninteractive dpkg -i /var/cache/apt/archives/*.deb", 240)
    server.run(GANESHA_OFF)
    change_conf(server, "true")


def set_up(server):
    """The whole section, on a server that was switched off and has nothing of Carrel."""
    os.mkdir(server.path("admin"))
    server.later = pack(server.path("admin"), server.path("admin.tar"))
    server.power_on(server.path("admin.tar"))
    install(server)
    configure(server)
    bring_keys_and_image(server)
    server.run(ENABLE, 240)
    server.run(f"echo '{ALICE}' | carrel user add alice --password-stdin")
