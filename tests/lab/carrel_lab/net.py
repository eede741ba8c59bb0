# SPDX-License-Identifier: GPL-2.0-or-later
"""Namespaces and their wires. Nothing is ever made in the machine's own namespace: both ends of a
veth pair are created directly where they belong, so names can be short and the same in each lab.

    cl-NAME-lan    the switches: br-lan (PCs' taps, boot server), br-srv (boot server, servers)
    cl-NAME-boot   the boot server: eth1 10.77.0.1/24 to the PCs, eth0 10.78.0.1/24 to the servers
    cl-NAME-sN     server N: eth0 10.78.0.(10+N)/24
"""

import contextlib
import ctypes
import json
import os
import subprocess

from .errors import LabError

CLIENT_NET = "10.77.0"
BOOT_SERVER = f"{CLIENT_NET}.1"  # as PCs see it
SERVER_NET = "10.78.0"
CLIENT_NET6 = "fd77"
BOOT_CLIENT_IF = "eth1"
BOOT_SERVER_IF = "eth0"


def run(*argv, netns=None, check=True, **kwargs):
    """Runs a short command, inside `netns` if given; its output is text in .stdout, .stderr."""
    if netns:
        argv = ("ip", "netns", "exec", netns, *argv)
    result = subprocess.run(argv, stdin=kwargs.pop("stdin", subprocess.DEVNULL),
                            capture_output=True, text=True, check=False, **kwargs)
    if check and result.returncode:
        raise LabError(f"{' '.join(argv)}: exit status {result.returncode}: "
                       f"{(result.stderr or result.stdout).strip()}")
    return result


def netns_exists(name):
    return os.path.exists(f"/run/netns/{name}")


@contextlib.contextmanager
def inside(netns):
    """Sockets made in this block belong to `netns` (calling thread only)."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(fd):
        if libc.setns(fd, 0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), f"setns to {netns}")

    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/run/netns/{netns}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(there)
        yield
    finally:
        enter(home)
        os.close(there)
        os.close(home)


def listens(pid, port, kind="tcp"):
    """Does anything in the network namespace of process `pid` listen on TCP (or own UDP) `port`?"""
    wanted = f"{port:04X}"
    for name in (kind, kind + "6"):
        try:
            with open(f"/proc/{pid}/net/{name}", encoding="ascii") as f:
                rows = f.readlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[1].rsplit(":", 1)[1] == wanted and (kind == "udp" or fields[3] == "0A"):
                return True
    return False


class Net:
    """The lab's namespaces."""

    def __init__(self, state, name):
        self.state = state
        self.prefix = f"cl-{name}-"

    def ns(self, part):
        return self.prefix + part

    def make(self, part):
        name = self.ns(part)
        if netns_exists(name):
            raise LabError(f"network namespace {name} exists already and this lab has not made it; "
                           f"take another --name, or remove it: ip netns del {name}")
        self.state.append(kind="netns", name=name)
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        # A new namespace has bridged frames pass the machine's packet filters; a drop rule in
        # `forward` would then kill what the switch carries.
        for key in ("iptables", "ip6tables", "arptables"):
            path = f"/proc/sys/net/bridge/bridge-nf-call-{key}"
            run("sh", "-c", f"[ ! -e {path} ] || echo 0 >{path}", netns=name)
        return name

    def bridge(self, name):
        lan = self.ns("lan")
        run("ip", "-n", lan, "link", "add", name, "type", "bridge", "stp_state", "0",
            "forward_delay", "0", "mcast_snooping", "0")
        # The switch itself has no addresses, so it never answers or routes.
        run("ip", "netns", "exec", lan, "sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
        run("ip", "-n", lan, "link", "set", name, "up")

    def plug(self, part, interface, bridge, address=None):
        """A cable between `interface` in namespace `part` and a port of `bridge`. Without `address` it
        asks for one by itself."""
        lan, there = self.ns("lan"), self.ns(part)
        port = f"{part}-{interface}"
        run("ip", "link", "add", port, "netns", lan, "type", "veth", "peer", "name", interface,
            "netns", there)
        run("ip", "-n", lan, "link", "set", port, "master", bridge, "up")
        if address:
            run("ip", "-n", there, "addr", "add", address, "dev", interface)
        run("ip", "-n", there, "link", "set", interface, "up")

    def cable(self, part, interface, connected):
        """Pulls or plugs the cable of plug()."""
        run("ip", "-n", self.ns("lan"), "link", "set", f"{part}-{interface}",
            "up" if connected else "down")

    def up(self, servers):
        lan, boot = self.make("lan"), self.make("boot")
        self.bridge("br-lan")
        self.bridge("br-srv")
        self.plug("boot", BOOT_CLIENT_IF, "br-lan", f"{BOOT_SERVER}/24")
        self.plug("boot", BOOT_SERVER_IF, "br-srv", f"{SERVER_NET}.1/24")
        run("ip", "-n", boot, "addr", "add", f"{CLIENT_NET6}::1/64", "dev", BOOT_CLIENT_IF, "nodad")
        for i in range(1, servers + 1):
            self.make(f"s{i}")
            self.plug(f"s{i}", "eth0", "br-srv", f"{self.server_address(i)}/24")
        return lan, boot

    @staticmethod
    def server_address(index):
        return f"{SERVER_NET}.{10 + index}"

    def tap(self, name):
        """A tap port of br-lan for a PC; one that exists is used again."""
        lan = self.ns("lan")
        if run("ip", "-n", lan, "link", "show", name, check=False).returncode:
            run("ip", "-n", lan, "tuntap", "add", name, "mode", "tap")
            run("ip", "netns", "exec", lan, "sysctl", "-qw",
                f"net.ipv6.conf.{name}.disable_ipv6=1")
            run("ip", "-n", lan, "link", "set", name, "master", "br-lan", "up")

    def counters(self, interface):
        """(bytes to the PC, bytes from the PC) that crossed the tap since it was made."""
        links = json.loads(run("ip", "-n", self.ns("lan"), "-s", "-j", "link", "show",
                               interface).stdout)
        stats = links[0]["stats64"]
        return stats["tx"]["bytes"], stats["rx"]["bytes"]

    def down(self):
        if not self.state.same_boot():
            return
        for name in reversed(list(self.state.names("netns"))):
            if netns_exists(name):
                run("ip", "netns", "del", name)
            self.state.forget("netns", name)
