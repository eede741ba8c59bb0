# SPDX-License-Identifier: GPL-2.0-or-later
"""class Lab: everything but the PCs, brought up in order and taken down in reverse.

A lab is a folder (default /var/tmp/carrel-lab/NAME; ext4, because NFS-Ganesha exports nothing from
an overlay) with:

    journal       what was made (state.py)
    carrel.conf   the configuration; [paths] lie below this folder
    bin/          copies of the programs: the broker's user may not read the source tree
    pki/ images/ state/ run/ volumes/ s1/ log/
"""

import contextlib
import fcntl
import os
import pwd
import re
import shutil

from . import packages
from .admin import Admin
from .boot import BootServer
from .errors import LabError, wait_until
from .net import BOOT_CLIENT_IF, CLIENT_NET, Net, run
from .pc import PC
from .pdu import PDU
from .seat import Seat
from .servers import Servers
from .state import State
from .versions import Versions, share_folder

DEFAULT_ROOT = "/var/tmp/carrel-lab"
SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BROKER_USER = "nobody"

CONF = {
    "site": {"name": "Carrel Lab"},
    # All else is found out, but that seats without a PC have addresses from .200 on.
    "network": {"client_interface": BOOT_CLIENT_IF, "client_range": f"{CLIENT_NET}.100-{CLIENT_NET}.199"},
    "broker": {"user": BROKER_USER},
    # A kernel's own NFS server is the machine's, not a lab's.
    "boot": {"nfs": "ganesha"},
    # Desktops of 512 MiB: the lab's machine may be a small one.
    "desktop": {"max_mib": "512", "min_mib": "512", "standby": "1", "network": "none"},
    "volume": {"size_mib": "512"},
}


def conf_text(tables):
    """GKeyFile text of {group: {key: value}}."""
    lines = []
    for group, keys in tables.items():
        lines.append(f"[{group}]")
        lines += [f"{key} = {value}" for key, value in keys.items()]
        lines.append("")
    return "\n".join(lines)


class Lab:
    """One lab by its name. Objects are cheap: each command of the CLI makes one."""

    def __init__(self, name="demo", directory=None, servers=1, conf=None, source=SOURCE,
                 say=lambda text: None, capacity_mib=None, fence=False, debug=False, live=False):
        """`capacity_mib`: what each server has, all of it for desktops; else it has what this
        machine has. `fence`: the broker can switch servers off. `debug`: the broker logs every
        event. `live`: desktops give memory back in place before they are handed off."""
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", name):
            raise LabError(f"{name!r} is no lab's name; use 1 to 20 of a-z, 0-9 and -")
        self.name, self.servers_wanted, self.source, self.say = name, servers, source, say
        self.live = live
        self.directory = os.path.abspath(directory or os.path.join(DEFAULT_ROOT, name))
        if len(self.directory) > 80:
            raise LabError(f"the lab's folder {self.directory} has a name of more than 80 bytes; "
                           f"Unix sockets in it would not fit into 108")
        self.conf = {g: dict(keys) for g, keys in CONF.items()}
        self.conf["paths"] = {p: self.path(p) for p in ("state", "run", "images", "pki")}
        for group, keys in (conf or {}).items():
            self.conf.setdefault(group, {}).update(keys)
        self.capacity_mib, self.debug = capacity_mib, debug
        if capacity_mib:
            self.conf["desktop"].update(overhead_mib="0", host_reserve_mib="0")
        self.conf_file = self.path("carrel.conf")
        self.state = State(self.directory)
        self.net = Net(self.state, name)
        self.boot = BootServer(self)
        self.servers = Servers(self)
        self.versions = Versions(self.path("pki", "image-signing.key"), source)
        self.admin = Admin(self)
        self.pdu = PDU(self)
        self.sampler = None  # of the test that runs
        if fence:
            self.conf.setdefault("server", {})["fence"] = self.pdu.command()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def built(self, program):
        """The built program of the source tree."""
        path = os.path.join(self.source, "build", "out", program)
        if not os.path.exists(path):
            raise LabError(f"{path} is not built; remedy: make")
        return path

    def script(self, *parts):
        path = os.path.join(self.source, *parts)
        if not os.path.exists(path):
            raise LabError(f"{path} is missing from the source tree")
        return path

    # up and down

    @contextlib.contextmanager
    def _alone(self):
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        fd = os.open(self.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise LabError(f"lab {self.name} is being brought up or taken down by another process; "
                           f"wait for it") from error
        try:
            yield
        finally:
            os.close(fd)

    def up(self):
        """Brings the lab up; what an error leaves is taken down again."""
        if os.geteuid() != 0:
            raise LabError("the lab makes network namespaces; run it as root (sudo)")
        packages.check()
        with self._alone():
            if self.state.exists():
                raise LabError(f"lab {self.name} is up, or was not taken down after a crash; "
                               f"remedy: tests/lab/lab down --name {self.name}")
            self.state.create()
            try:
                self._up()
            except BaseException:
                self.say("that failed; taking down what was made")
                self._down(keep_logs=True)
                raise
        return self

    def _up(self):
        for part in ("bin", "log", "volumes"):
            os.makedirs(self.path(part), exist_ok=True)
        user = pwd.getpwnam(BROKER_USER)
        os.makedirs(self.path("state"))
        os.chown(self.path("state"), user.pw_uid, user.pw_gid)
        # carrel-netd is root without the right to write into others' folders.
        os.makedirs(self.path("run"))
        os.chown(self.path("run"), 0, user.pw_gid)
        os.chmod(self.path("run"), 0o775)
        self._write_conf()
        self.say("networks: client LAN 10.77.0.0/24, server net 10.78.0.0/24")
        self.net.up(self.servers_wanted)
        self.servers.keys()
        self._images()
        self._programs()
        self.boot.render()
        self.say("virtualization servers")
        self.servers.up()
        if self.conf.get("server", {}).get("fence"):
            self.pdu.up()
        self.say("boot server: DHCP, TFTP, HTTP, NFS, helpers, broker")
        self.boot.up()
        self.servers.register()

    def _write_conf(self):
        temporary = self.conf_file + ".new"
        with open(temporary, "w", encoding="utf-8") as f:
            f.write(conf_text(self.conf))
        os.rename(temporary, self.conf_file)

    def configure(self, conf):
        """Changes keys ({group: {key: value}}) and has the broker read them."""
        for group, keys in conf.items():
            self.conf.setdefault(group, {}).update(keys)
        self._write_conf()
        self.admin.api("POST", "/v1/reload")

    def _images(self):
        source = os.path.join(self.source, "build", "images")
        for name in (self.conf.get("boot", {}).get("image", "client"),
                     self.conf["desktop"].get("image", "desktop-lite")):
            current = os.path.join(source, name, "current")
            if not os.path.exists(os.path.join(current, "manifest.json")):
                raise LabError(f"image {name} is not built ({current}/manifest.json is missing); "
                               f"remedy: make images")
            version = os.path.basename(os.path.realpath(current))
            target = self.path("images", name, version)
            share_folder(current, target)
            if self.live:
                self._make_live(target)
            os.symlink(version, self.path("images", name, "current"))

    def _make_live(self, version):
        """As if the recipe said so; the files themselves are shared with the source tree."""
        if self.versions.manifest(version)["kind"] == "desktop":
            self.versions.change(version, handoff="live")

    def new_version(self, name, **root):
        """Another version of the image, of the same files, signed by the lab; `root` changes what
        its manifest says of the root. Returns "name@version"."""
        return self.versions.another(self.path("images", name), **root)

    def _programs(self):
        for program in ("carreld", "carrel", "carrel-virtd", "carrel-authd", "carrel-netd",
                        "carrel-bootconf"):
            shutil.copy2(self.built(program), self.path("bin", program))

    def down(self, keep_logs=False):
        """Takes all of it down, also what a crashed `up` left. Twice is harmless. The logs are
        kept in a folder beside it when wanted."""
        if not self.state.exists():
            return False
        with self._alone():
            if not self.state.exists():
                return False  # another `down` was quicker
            self.state.entries()
            self._down(keep_logs)
        return True

    def _down(self, keep_logs=False):
        self.servers.down()
        self.state.end_processes()
        self.net.down()
        if keep_logs:
            kept = self.directory + "-failed-log"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.path("log"), kept, ignore_dangling_symlinks=True)
            self.say(f"its logs are in {kept}")
        for entry in os.listdir(self.directory):
            if entry in ("lock", "journal"):
                continue
            path = self.path(entry)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        # The journal goes last: until then a second `down` can finish what this one began.
        os.unlink(self.state.path)
        os.unlink(self.path("lock"))
        os.rmdir(self.directory)

    # parts

    def pc(self, name, **kwargs):
        return PC(self, name, **kwargs)

    def seat(self, name):
        return Seat(self, name)

    def pcs(self):
        """The PCs that are on."""
        names = {p.name for p in self.state.processes() if re.fullmatch(r"pc\d+", p.name)}
        return [pc for pc in map(self.pc, sorted(names)) if pc.running()]

    def end(self, name):
        process = self.state.process(name)
        if process:
            process.end()

    def capture(self, interface, path):
        """Records the heads of all frames of a PC's tap into `path` (tcpdump)."""
        name = f"capture-{interface}"
        self.end(name)
        log = self.path("log", f"{name}.log")
        self.state.spawn(name, ["ip", "netns", "exec", self.net.ns("lan"), "tcpdump", "-i",
                                interface, "-n", "-p", "-s", "200", "-B", "8192", "-U", "-Z",
                                "root", "-w", path], log)
        wait_until(lambda: os.path.exists(path) and os.path.getsize(path) >= 24, 10,
                   f"tcpdump on {interface} began (see {log})")

    def leases(self):
        path = self.boot.lease_file
        if not path or not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return f.read().splitlines()

    def run_in(self, part, *argv, **kwargs):
        """Runs a command in namespace `part` (boot, lan, s1, ...)."""
        return run(*argv, netns=self.net.ns(part), **kwargs)
