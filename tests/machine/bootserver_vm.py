# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot server as a machine of its own: a QEMU VM with Debian 12 and two network cards, a PC without
a disk beside it, and the two networks, all in one namespace."""

import base64
import os
import selectors
import shutil
import socket
import subprocess
import time

import netns
from carrel_lab.errors import LabError, LabTimeout, wait_until
from carrel_lab.qmp import QMP, key_events
from carrel_lab.screen import Screen
from carrel_lab.station import KEY_GAP, Station
from carrel_lab.versions import Versions, share_folder

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
CACHE = os.path.join(TOP, "build", "cache")
DISK = os.path.join(CACHE, "machine")
CLIENT_MAC, SERVER_MAC, PC_MAC = (f"52:54:00:77:01:0{n}" for n in (1, 2, 3))
SERVER1 = "10.78.0.11"
BOOT_TIMEOUT = 240  # seconds; systemd under TCG on a busy machine

QEMU = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-M", "pc", "-accel",
        "tcg,thread=multi", "-display", "none", "-monitor", "none"]


def build_disk():
    """The disk of plain Debian, from the cache or made; returns when it is there."""
    done = subprocess.run([os.path.join(os.path.dirname(__file__), "build"), CACHE],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"tests/machine/build: {done.stderr.strip()[-2000:]}")


class Wires(netns.Lab):
    """The PCs' LAN and the servers' network: two bridges in one namespace, with their taps, and the
    virtualization server's own namespace beside them."""

    def up(self):
        self.add("wires")
        self.exec("wires", "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
        for bridge, taps in (("lan", ("boot-lan", "pc")), ("srv", ("boot-srv",))):
            self.ip("wires", "link", "add", bridge, "type", "bridge", "stp_state", "0",
                    "forward_delay", "0", "mcast_snooping", "0")
            self.ip("wires", "link", "set", bridge, "up")
            for tap in taps:
                self.ip("wires", "tuntap", "add", tap, "mode", "tap")
                self.ip("wires", "link", "set", tap, "master", bridge, "up")
        self.add("server1")
        self.cable("wires", "server1", "server1", "eth0")
        self.ip("wires", "link", "set", "server1", "master", "srv")
        self.ip("server1", "address", "add", f"{SERVER1}/24", "dev", "eth0")

    def start(self, argv, log):
        """A process among the wires."""
        with open(log, "w", encoding="utf-8") as out:
            return subprocess.Popen(self.within("wires", *argv), stdin=subprocess.DEVNULL,
                                    stdout=out, stderr=out)


def end(process):
    if process and process.poll() is None:
        process.kill()
        process.wait()


class BootServer:
    """The VM. Its disk is a throw-away layer above the one of the cache."""

    def __init__(self, folder, wires):
        self.folder, self.wires = folder, wires
        self.process = self.port = None
        self.number, self.text, self.boot_id = 0, "", None
        self.later = None  # name@version of a PCs' image that waits in its archive

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def power_on(self, archive):
        """`archive` is its second disk: a tar of what the admin brings along."""
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
                        os.path.join(DISK, "root.ext4"), self.path("disk.qcow2")], check=True)
        argv = [*QEMU, "-cpu", "Nehalem", "-smp", "2", "-m", "1024",
                "-kernel", os.path.join(DISK, "vmlinux"), "-initrd", os.path.join(DISK, "initrd"),
                "-append", "console=ttyS0 quiet",
                "-drive", f"file={self.path('disk.qcow2')},if=none,id=d0,cache=unsafe",
                "-device", "virtio-blk-pci,drive=d0",
                "-drive", f"file={archive},format=raw,if=none,id=d1,readonly=on",
                "-device", "virtio-blk-pci,drive=d1"]
        for name, tap, mac in (("n0", "boot-lan", CLIENT_MAC), ("n1", "boot-srv", SERVER_MAC)):
            argv += ["-netdev", f"tap,id={name},ifname={tap},script=no,downscript=no",
                     "-device", f"virtio-net-pci,netdev={name},mac={mac},romfile="]
        argv += ["-chardev", f"socket,id=shell,path={self.path('shell')},server=on,wait=off",
                 "-device", "virtio-serial-pci",
                 "-device", "virtserialport,chardev=shell,name=carrel.machine",
                 "-serial", f"file:{self.path('console.log')}"]
        self.process = self.wires.start(argv, self.path("qemu.log"))
        wait_until(lambda: os.path.exists(self.path("shell")) or self.process.poll() is not None, 20,
                   "QEMU of the boot server makes its socket")
        if self.process.poll() is not None:
            raise LabError(f"QEMU of the boot server: {self.log('qemu.log')}")
        self.port = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.port.connect(self.path("shell"))
        self.port.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.port, selectors.EVENT_READ)
        self.wait_booted()

    def log(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as f:
            return f.read()[-3000:]

    def _answer(self, number, seconds):
        """(status, output) of request `number`, or None."""
        deadline = time.monotonic() + seconds
        while True:
            while "\n" in self.text:
                line, self.text = self.text.split("\n", 1)
                fields = line.split(" ")
                if fields[0] == str(number) and len(fields) == 3:
                    return int(fields[1]), base64.b64decode(fields[2]).decode("utf-8", "replace")
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if self.selector.select(left):
                data = self.port.recv(65536)
                if not data:
                    raise LabError(f"the boot server is off: {self.log('qemu.log')}")
                self.text += data.decode("ascii", "replace")

    def ask(self, script, seconds):
        """Runs a shell script as root; (status, output), or None when no answer comes in time."""
        self.number += 1
        text = base64.b64encode(script.encode()).decode()
        self.port.setblocking(True)
        self.port.sendall(f"{self.number} {text}\n".encode())
        self.port.setblocking(False)
        return self._answer(self.number, seconds)

    def run(self, script, seconds=120, status=0):
        """The output of a shell script that must end with `status` (None: any)."""
        answer = self.ask(script, seconds)
        if answer is None:
            raise LabTimeout(f"not within {seconds:g} s: {script}; the console ends: "
                             f"{self.log('console.log')}")
        if status is not None and answer[0] != status:
            raise LabError(f"{script}: status {answer[0]}: {answer[1]}")
        return answer[1]

    def wait_booted(self):
        """Waits until another boot than the last known has everything started or given up."""
        deadline = time.monotonic() + BOOT_TIMEOUT
        while True:
            answer = self.ask("cat /proc/sys/kernel/random/boot_id", 5)
            if answer and answer[0] == 0 and answer[1].strip() != self.boot_id:
                self.boot_id = answer[1].strip()
                break
            if time.monotonic() > deadline:
                raise LabTimeout(f"the boot server did not boot: {self.log('console.log')}")
        self.run("systemctl is-system-running --wait", BOOT_TIMEOUT, status=None)

    def reboot(self):
        self.run("systemctl --no-block reboot")
        self.wait_booted()

    def interface(self, mac):
        for line in self.run("ip -o link").splitlines():
            if mac in line:
                return line.split(": ")[1]
        raise LabError(f"the boot server has no network card {mac}")

    def off(self):
        end(self.process)
        if self.port:
            self.port.close()


class BarePc(Station):
    """A PC without a disk on the clients' LAN, whose firmware boots from the network."""

    name, mac = "pc", PC_MAC

    def __init__(self, machine):
        self.machine, self.lab = machine, self
        self.qmp = QMP(machine.path("pc.qmp"))
        self.process = None

    def path(self, *names):
        """Station keeps the picture of a wait that failed here."""
        folder = self.machine.path(*names[:-1])
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, names[-1])

    def power_on(self):
        if os.path.exists(self.qmp.path):
            os.unlink(self.qmp.path)  # of when it was on before
        argv = [*QEMU, "-cpu", "qemu64", "-m", "1024", "-vga", "std",
                "-netdev", "tap,id=n0,ifname=pc,script=no,downscript=no",
                "-device", f"virtio-net-pci,netdev=n0,mac={self.mac},bootindex=1",
                "-serial", f"file:{self.machine.path('pc.serial')}",
                "-qmp", f"unix:{self.qmp.path},server=on,wait=off"]
        self.process = self.machine.wires.start(argv, self.machine.path("pc.log"))
        wait_until(lambda: os.path.exists(self.qmp.path) or not self.running(), 20,
                   "QEMU of the PC makes its control socket")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def screen(self):
        path = self.machine.path("pc.ppm")
        self.qmp("screendump", filename=path)
        return Screen.from_ppm(path)

    def key(self, *combinations, gap=KEY_GAP):
        for combination in combinations:
            down, up = key_events(combination)
            self.qmp("input-send-event", events=down + up)
            time.sleep(gap)

    def off(self):
        end(self.process)


def pack_images(folder):
    """The PCs' image and the desktops' as they were built, and a version of the PCs' that comes later;
    its name@version."""
    for name in ("client", "desktop-lite"):
        current = os.path.realpath(os.path.join(TOP, "build/images", name, "current"))
        version = os.path.basename(current)
        share_folder(current, os.path.join(folder, "images", name, version))
        os.symlink(version, os.path.join(folder, "images", name, "current"))
    clients = os.path.join(folder, "images/client")
    later = Versions(os.path.join(folder, "backup/image-signing.key"), TOP).another(clients)
    os.mkdir(os.path.join(folder, "later"))
    version = later.split("@")[1]
    os.rename(os.path.join(clients, version), os.path.join(folder, "later", version))
    return later


def pack(folder, archive):
    """What the admin brings along: the installed tree, the scripts of the sources, the keys from a
    backup, and built images. The name@version of the one that is for later."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    subprocess.run(["make", "-s", "-C", TOP, "install", f"DESTDIR={folder}/installed"], check=True,
                   env=env, stdout=subprocess.DEVNULL)
    shutil.copytree(os.path.join(TOP, "scripts"), os.path.join(folder, "sources/scripts"))
    backup = os.path.join(folder, "backup")
    os.makedirs(backup)
    for name in ("ca.crt", "ca.key", "image-signing.key", "image-signing.pub"):
        shutil.copy2(os.path.join(TOP, "build/pki", name), backup)
    later = pack_images(folder)
    subprocess.run(["tar", "-c", "--owner=0", "--group=0", "--numeric-owner", "-f", archive, "-C",
                    folder, "."], check=True)
    return later
