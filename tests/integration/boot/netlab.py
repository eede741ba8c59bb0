# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot server, PCs without a disk and, for proxy DHCP, a site's own DHCP server, in network namespaces
of their own, for the tests of the network boot. Nothing outside of these namespaces and the working
folder is touched."""
import contextlib
import json
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import clientimage
import firmware
from clientimage import OUT, ROOT, run

NEEDED = ["ip", "dnsmasq", "nginx", "ganesha.nfsd", "qemu-system-x86_64", "mksquashfs", "veritysetup",
          "objcopy", "sbsign", "sbverify", "certtool"]


def lacks():
    """Why the tests cannot run here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in NEEDED if not shutil.which(name, path=path)]
    if not os.path.exists("/usr/lib/PXELINUX/lpxelinux.0"):
        missing.append("pxelinux")
    if not os.path.exists("/usr/lib/systemd/boot/efi/linuxx64.efi.stub"):
        missing.append("systemd-boot-efi")
    return "missing: " + ", ".join(missing) if missing else None


# A BIOS PC whose kernel has not said a word by then hangs before it: seen in 3 of some 100 boots on a busy
# machine under emulation, in PXELINUX in the middle of a file where one was looked at. Switching it off and
# on helps.
SILENT_S = 70


class Output:
    """Lines of a process, read without blocking for longer than asked. `again` is called once, when
    nothing at all has come for SILENT_S: it starts the process anew, and returns it."""

    def __init__(self, process, again=None):
        self.text, self.at, self.again = "", 0, again
        self._watch(process)

    def _watch(self, process):
        self.process, self.since = process, time.monotonic()
        os.set_blocking(process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(process.stdout, selectors.EVENT_READ)

    def _start_again(self):
        if self.again and not self.text and time.monotonic() - self.since > SILENT_S:
            print("nothing in %d s: off and on again" % SILENT_S)
            again, self.again = self.again, None
            self._watch(again())

    def read(self, timeout):
        """Takes what is there; False when the process has ended."""
        if self.selector.select(timeout):
            data = os.read(self.process.stdout.fileno(), 65536)
            self.text += data.decode("utf-8", "replace")
            return bool(data)
        return True

    def wait(self, word, timeout):
        """Waits until `word` comes (behind the last found one); the text up to its line's end."""
        until = time.monotonic() + timeout
        while True:
            found = self.text.find(word, self.at)
            end = re.compile(r"[\r\n]").search(self.text, found) if found >= 0 else None
            if end:
                self.at = end.start()
                return self.text[found:self.at]
            left = until - time.monotonic()
            if left <= 0 or not self.read(min(left, 5)):
                raise AssertionError("no %r in: %s" % (word, self.text[-3000:]))
            self._start_again()


class Follow:
    """What is written to a log file."""

    def __init__(self, path):
        self.path = path

    def wait(self, word, timeout):
        self.wait_count(word, 1, timeout)

    def wait_count(self, word, count, timeout):
        until = time.monotonic() + timeout
        while open(self.path).read().count(word) < count:
            if time.monotonic() > until:
                raise AssertionError("no %r in %s" % (word, self.path))
            select_pause(0.05)


@contextlib.contextmanager
def built(prefix, firmware={}):
    """A lab with its image and its keys made, but nothing running in it; `firmware`: what the folder
    of the cards' firmware has, path -> bytes."""
    lab = Netlab(prefix)
    try:
        lab.up()
        lab.build_image(firmware)
        yield lab
    finally:
        lab.down()


class Netlab:
    address = "10.77.0.1"
    foreign_address, foreign_range = "10.77.0.2", ("10.77.0.60", "10.77.0.90")

    def __init__(self, prefix="bootx"):
        self.sw, self.srv, self.dhcp = prefix + "sw", prefix + "srv", prefix + "dhcp"
        self.prefix = prefix
        self.dir = tempfile.mkdtemp(prefix="carrel-netboot-", dir="/var/tmp")
        os.chmod(self.dir, 0o755)
        os.mkdir(self.path("run"))
        self.daemons, self.pcs = {}, []
        self.images = self.path("images")
        self.shim = self.path("shim")  # a folder of Debian's shim and GRUB, for the tests that have them

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def _drop_namespaces(self):
        for name in (self.sw, self.srv, self.dhcp):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def up(self):
        self._drop_namespaces()  # what an earlier, crashed run left
        for name in (self.sw, self.srv, self.dhcp):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "netns", "exec", self.sw, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
        sw = ["ip", "-n", self.sw]
        run(*sw, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0",
            "mcast_snooping", "0")
        run(*sw, "link", "set", "br0", "up")
        for wire, name, address in (("srv", self.srv, self.address),
                                    ("dhcp", self.dhcp, self.foreign_address)):
            run(*sw, "link", "add", wire, "type", "veth", "peer", "name", "lan0", "netns", name)
            run(*sw, "link", "set", wire, "master", "br0", "up")
            run("ip", "-n", name, "link", "set", "lan0", "up")
            run("ip", "-n", name, "address", "add", address + "/24", "dev", "lan0")
        for tap in ["tap0"] + Pc.dead_taps:
            run(*sw, "tuntap", "add", tap, "mode", "tap")
            run(*sw, "link", "set", tap, "up")
        run(*sw, "link", "set", "tap0", "master", "br0")
        self.configure()

    def configure(self, dhcp="own", options="", uefi="uki"):
        with open(self.path("carrel.conf"), "w") as f:
            f.write("[network]\nclient_interface=lan0\nclient_address=%s/24\ndhcp=%s\n"
                    "[boot]\nnfs=ganesha\nuefi=%s\nkernel_options=console=tty0 console=ttyS0,115200%s\n[paths]\n"
                    "state=%s\nrun=%s\nimages=%s\npki=%s\n" % (self.address, dhcp, uefi, options,
                    self.path("state"), self.path("run"), self.images, self.dir))

    def bootconf(self, *options):
        return run(os.path.join(OUT, "carrel-bootconf"), "--config", self.path("carrel.conf"),
                   "--templates", os.path.join(ROOT, "bootserver/templates"), "--shim", self.shim, *options)

    def build_image(self, firmware):
        """The client image, with a stand-in where the viewer will be, and the site's keys."""
        clientimage.build(self.images, self.dir, firmware)

    def plan(self, kernel):
        """carreld's boot plan: the PC boots with these options, any other as it is published."""
        version = os.readlink(os.path.join(self.images, "client/current"))
        os.makedirs(self.path("state"), exist_ok=True)
        with open(self.path("state/bootplan.json"), "w") as f:
            json.dump({"image": "client", "versions": [version],
                       "seats": [{"mac": Pc.mac, "version": version, "kernel": kernel}]}, f)

    def start(self, name):
        """Starts one of the daemons that carrel-bootconf names, as it says."""
        for line in self.bootconf("--commands").splitlines():
            found, command = line.split("\t")
            if found == name:
                break
        else:
            raise KeyError(name)
        script = "mount -t tmpfs run /run && exec " + command
        if name.startswith("setup-"):
            run("ip", "netns", "exec", self.srv, "sh", "-c", command)
            return
        self.spawn(name, ["sh", "-c", script])

    def spawn(self, name, argv, namespace=None):
        log = open(self.path(name + ".log"), "w")
        self.daemons[name] = subprocess.Popen(["ip", "netns", "exec", namespace or self.srv] + argv,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

    def dnsmasq_log(self):
        return self.path("state/boot/log/dnsmasq.log")

    def start_foreign_dhcp(self, *more):
        """A DHCP server that knows nothing of a network boot, as a site may have it; `more` words can
        teach it."""
        self.spawn("foreign", ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
            "--interface=lan0", "--bind-dynamic", "--log-facility=-", "--pid-file", "--no-ping",
            "--dhcp-authoritative", "--dhcp-range=%s,%s,255.255.255.0,10m" % self.foreign_range,
            "--dhcp-option=option:router," + self.foreign_address,
            "--dhcp-leasefile=" + self.path("foreign.leases"), *more], self.dhcp)
        Follow(self.path("foreign.log")).wait("DHCP, sockets bound", 20)

    def efi(self):
        """The file that UEFI PCs start now."""
        return os.path.realpath(self.path("state/boot/current/tftp/carrel.efi"))

    def reports(self, what="report"):
        """What PCs have said: their stages, or (`driver`) what they were about to start."""
        with open(self.path("reports.log")) as f:
            said = [line.split(" ", 1) for line in f]
        return [json.loads(body) for path, body in said if path == "/v1/boot/" + what]

    def serve(self, *without, dnsmasq=""):
        """Renders and starts the daemons, but those named; `dnsmasq`: further lines for it."""
        self.bootconf()
        with open(self.path("state/boot/current/dnsmasq.conf"), "a") as f:
            f.write(dnsmasq)
        if "setup-ipv6\t" in self.bootconf("--commands"):
            self.start("setup-ipv6")
        for name in ("dnsmasq", "nginx", "nfs"):
            if name not in without:
                self.start(name)
        self.spawn("reports", [sys.executable, os.path.join(ROOT,
            "tests/integration/boot/reports.py"), self.address, "7480"])
        for name, port in (("nginx", 80), ("nfs", 2049), ("reports", 7480)):
            if name not in without:
                self.wait_port(name, port)

    def wait_port(self, name, port):
        until = time.monotonic() + 20
        while True:
            out = run("ip", "netns", "exec", self.srv, "ss", "-Hltn", "sport", "=", ":%d" % port)
            if out.strip():
                return
            if self.daemons[name].poll() is not None or time.monotonic() > until:
                raise AssertionError(name + ": " + open(self.path(name + ".log")).read()[-2000:])
            select_pause(0.1)

    def stop(self, name):
        process = self.daemons.pop(name)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self):
        for name in list(self.daemons):
            self.stop(name)

    def power_on(self, card="virtio-net-pci", memory=1024, machine=None, dead_cards=False, screen="VGA"):
        """`machine`: what firmware.bios() or firmware.uefi() gives; `dead_cards`: the PC has further
        cards, with link to networks where nobody answers; `screen`: the graphics card."""
        pc = Pc(self, card, memory, machine or firmware.bios(), dead_cards, screen)
        self.pcs.append(pc)
        return pc

    def clear(self):
        """Ends what runs, and forgets what was rendered."""
        for pc in self.pcs:
            pc.off()
        self.pcs.clear()
        self.stop_all()
        self.configure()
        shutil.rmtree(self.path("state"), ignore_errors=True)

    def down(self):
        for pc in self.pcs:
            pc.off()
        self.stop_all()
        self._drop_namespaces()
        shutil.rmtree(self.dir, ignore_errors=True)


def select_pause(seconds):
    selectors.DefaultSelector().select(seconds)


class Pc:
    mac = "52:54:00:77:00:01"
    dead_taps = ["tap1", "tap2"]

    def __init__(self, lab, card, memory, machine, dead_cards, screen):
        self.qmp_path = lab.path("qmp")
        # OVMF has a driver of its own for virtio cards; iPXE's, in QEMU's ROM, is for BIOS
        rom = "" if machine == firmware.bios() else ",romfile="
        cards = []
        for i, tap in enumerate(["tap0"] + (self.dead_taps if dead_cards else [])):
            cards += ["-netdev", "tap,id=n%d,ifname=%s,script=no,downscript=no" % (i, tap),
                      "-device", "%s,netdev=n%d,mac=%s%02x%s%s" % (card, i, self.mac[:-2], i + 1, rom,
                                                                  "" if i else ",bootindex=1")]
        self.argv = ["ip", "netns", "exec", lab.sw, "qemu-system-x86_64", "-accel", "tcg", *machine,
                     "-cpu", "qemu64", "-m", str(memory), "-nodefaults", "-device", screen, "-display", "none",
                     *cards, "-serial", "stdio", "-monitor", "none", "-qmp",
                     "unix:%s,server,nowait" % self.qmp_path]
        self.process = None
        self.console = Output(self.switch_on(), self.switch_on if machine == firmware.bios() else None)

    def switch_on(self):
        """The process of the machine, which is off before."""
        self.off()
        if os.path.exists(self.qmp_path):
            os.unlink(self.qmp_path)
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        return self.process

    def seconds(self):
        return time.monotonic() - self.started

    def qmp(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.qmp_path)
            f = s.makefile("rw")
            f.readline()
            for request in ({"execute": "qmp_capabilities"},
                            {"execute": command, "arguments": arguments}):
                f.write(json.dumps(request))
                f.flush()
                answer = json.loads(f.readline())
                while "event" in answer:
                    answer = json.loads(f.readline())
            return answer

    def press(self, key):
        return self.qmp("send-key", keys=[{"type": "qcode", "data": key}])

    def hold(self, key, down=True):
        return self.qmp("input-send-event", events=[{"type": "key", "data": {
            "down": down, "key": {"type": "qcode", "data": key}}}])

    def screen(self, path):
        """A picture of the screen as PNG."""
        return self.qmp("screendump", filename=path, format="png")

    def off(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
