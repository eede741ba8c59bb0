# SPDX-License-Identifier: GPL-2.0-or-later
"""One desktop VM under plain QEMU, for tests: no libvirt, no broker.

The VM is what a virtualization server would start: kernel and initramfs directly, the root image
read-only with serial "root", a virtio keyboard, a virtio-serial port whose other end is a Unix
socket. The user's volume is plugged in by QMP.
"""
import json
import os
import re
import select
import socket
import subprocess
import time

PORT = "org.carrel.agent.0"


class Timeout(AssertionError):
    """What was waited for did not come."""


def make_volume(path, owner):
    """A user's empty volume of 256 MiB; `owner` is his number."""
    with open(path, "wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", f"root_owner={owner}:{owner}", str(path)],
                   check=True, capture_output=True)


class Desktop:
    """A running VM. Times are seconds since its start."""

    def __init__(self, version_dir, work, memory_mib=1024, root=None, name="desktop-lite@test"):
        self.dir = str(work)
        with open(os.path.join(version_dir, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        files = {k: os.path.join(version_dir, v["file"]) for k, v in manifest["files"].items()}
        r = manifest["root"]
        cmdline = (f"{manifest['cmdline']} "
                   f"carrel.verity={r['data_blocks']}:{r['root_hash']}:{r['salt']} "
                   f"carrel.image={name}")
        self.serial_path = os.path.join(self.dir, "serial.log")
        agent, qmp = os.path.join(self.dir, "agent.sock"), os.path.join(self.dir, "qmp.sock")
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35",
            "-cpu", "Nehalem", "-smp", "2", "-m", str(memory_mib), "-display", "none",
            "-nodefaults", "-no-reboot",
            "-device", "virtio-vga,xres=1024,yres=768",
            "-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci",
            "-device", "virtio-rng-pci",
            "-device", "virtio-balloon-pci,id=balloon",
            "-device", "pcie-root-port,id=plug0,chassis=1",
            "-device", "pcie-root-port,id=plug1,chassis=2",
            "-drive", f"file={root or files['root']},if=none,id=root,format=raw,readonly=on",
            "-device", "virtio-blk-pci,drive=root,serial=root",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=agent,path={agent},server=on,wait=off",
            "-device", f"virtserialport,chardev=agent,name={PORT}",
            "-serial", f"file:{self.serial_path}",
            "-qmp", f"unix:{qmp},server=on,wait=off",
            "-kernel", files["kernel"], "-initrd", files["initrd"], "-append", cmdline,
        ]
        with open(os.path.join(self.dir, "qemu.log"), "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)
        self.start = time.monotonic()
        self.agent_path = agent
        self.agent = None
        self.messages = []
        self.buffer = b""
        self.ids = 0
        self.qmp_socket = self._connect(qmp)
        self.qmp_file = self.qmp_socket.makefile("rwb", buffering=0)
        self._qmp_read()
        self.qmp("qmp_capabilities")
        self.connect()

    def now(self):
        return time.monotonic() - self.start

    def _connect(self, path):
        end = time.monotonic() + 20
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(path)
                return s
            except OSError:
                s.close()
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                select.select([], [], [], 0.02)

    def _qmp_read(self):
        line = self.qmp_file.readline()
        if not line:
            raise EOFError("QEMU has ended")
        return json.loads(line)

    def qmp(self, command, **arguments):
        self.qmp_file.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = self._qmp_read()
            if "error" in answer:
                raise RuntimeError(answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]

    # The agent channel

    def connect(self):
        """As the protocol has it: an empty line ends a torn one, then hello."""
        self.agent = self._connect(self.agent_path)
        self.buffer = b""
        self.send_raw(b'\n{"op":"hello"}\n')

    def disconnect(self):
        self.agent.close()
        self.agent = None

    def send(self, **message):
        self.agent.sendall(json.dumps(message, ensure_ascii=False).encode() + b"\n")

    def send_raw(self, data):
        self.agent.sendall(data)

    def wait(self, match, seconds, what):
        """The first message from now on for which match(message) is true."""
        end = time.monotonic() + seconds
        while True:
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                message = json.loads(line)
                self.messages.append((self.now(), message))
                if match(message):
                    return message
            left = end - time.monotonic()
            if left <= 0 or self.process.poll() is not None:
                raise Timeout(f"{what} did not come in {seconds} s; messages: {self.messages}; "
                              f"serial: {self.serial()[-2000:]}")
            if select.select([self.agent], [], [], min(left, 1))[0]:
                self.buffer += self.agent.recv(65536)

    def wait_event(self, event, seconds=120):
        return self.wait(lambda m: m.get("event") == event, seconds, event)

    def ask(self, seconds=120, **message):
        """Sends a request with a new id and gives its answer."""
        self.ids += 1
        number = self.ids
        self.send(id=number, **message)
        return self.wait(lambda m: m.get("id") == number and "ok" in m, seconds,
                         f"the answer to {message['op']}")

    def hello(self):
        """Who is there now, as (state, user); earlier hellos in the channel do not count."""
        self.send(op="hello")
        self.ask(op="status", seconds=30)
        last = [m for _, m in self.messages if m.get("event") == "hello"][-1]
        return last["state"], last["user"]

    def claim(self, user, uid, volume, seconds=150, full_name=""):
        return self.ask(seconds, op="claim", user=user, full_name=full_name or user, uid=uid,
                        gid=uid, volume=volume)

    # Devices

    def plug(self, path, serial, slot=0):
        self.qmp("blockdev-add", driver="raw", **{"node-name": f"volume{slot}"},
                 file={"driver": "file", "filename": str(path)})
        self.qmp("device_add", driver="virtio-blk-pci", id=f"disk{slot}", drive=f"volume{slot}",
                 serial=serial, bus=f"plug{slot}")

    def serial(self):
        with open(self.serial_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_serial(self, pattern, seconds):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.serial()):
            if time.monotonic() > end:
                raise Timeout(f"{pattern} did not come on the serial line: {self.serial()[-2000:]}")
            if self.process.poll() is not None and not re.search(pattern, self.serial()):
                raise Timeout(f"QEMU ended before {pattern}: {self.serial()[-2000:]}")
            select.select([], [], [], 0.2)

    # Screen and keyboard

    def screen(self, png=None):
        """The screen as a Pillow image."""
        from PIL import Image
        path = os.path.join(self.dir, "screen.ppm")
        self.qmp("screendump", filename=path)
        with Image.open(path) as image:
            image.load()
            copy = image.convert("RGB")
        if png:
            copy.save(png)
        return copy

    def wait_screen(self, match, seconds, what):
        end = time.monotonic() + seconds
        while True:
            image = self.screen()
            if match(image):
                return image
            if time.monotonic() > end:
                image.save(os.path.join(self.dir, "timeout.png"))
                raise Timeout(f"{what} was not seen in {seconds} s; see {self.dir}/timeout.png")
            select.select([], [], [], 0.3)

    def tap(self, *codes):
        """Presses keys in order and lets them go in reverse."""
        for down in (True, False):
            self.qmp("input-send-event", events=[
                {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": c}}}
                for c in (codes if down else codes[::-1])])

    def type(self, text, step=5):
        """Types on the VM's keyboard (US layout), a few keys and then their echo on the screen:
        the virtio keyboard has room for 64 events and drops what a slow guest has not taken.
        """
        plain = {" ": "spc", "-": "minus", "=": "equal", ".": "dot", "/": "slash", ";": "semicolon",
                 "\n": "ret", "'": "apostrophe", ",": "comma", "`": "grave_accent"}
        shifted = {">": "dot", "~": "grave_accent", "_": "minus", "&": "7", "|": "backslash", "+": "equal",
                   "$": "4", "*": "8", "(": "9", ")": "0", "!": "1", "?": "slash", ":": "semicolon",
                   "\"": "apostrophe"}
        for n in range(0, len(text), step):
            before = self.screen().tobytes()
            for c in text[n:n + step]:
                if c in shifted:
                    self.tap("shift", shifted[c])
                elif c.isupper():
                    self.tap("shift", c.lower())
                else:
                    self.tap(plain.get(c, c))
            self.wait_screen(lambda i, b=before: i.tobytes() != b, 60, f"the echo of {text!r}")

    def cpu_seconds(self):
        """What the VM has used of processors."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def busy(self, seconds):
        """Share of one processor that the VM uses over so many seconds, in which it must live."""
        before = self.cpu_seconds()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return (self.cpu_seconds() - before) / seconds
        raise AssertionError("the VM has ended")

    def memory(self):
        """What the guest's kernel says of its memory, through its balloon: bytes by QEMU's names
        ("stat-free-memory", "stat-disk-caches", ...). Its driver told something when it began, too."""
        balloon = {"path": "/machine/peripheral/balloon"}
        old = self.qmp("qom-get", **balloon, property="guest-stats")["last-update"]
        self.qmp("qom-set", **balloon, property="guest-stats-polling-interval", value=1)
        end = time.monotonic() + 30
        while True:
            said = self.qmp("qom-get", **balloon, property="guest-stats")
            if said["last-update"] != old:
                return said["stats"]
            if time.monotonic() > end:
                raise Timeout("the guest's balloon said nothing of its memory in 30 s")
            select.select([], [], [], 0.2)

    def root_read(self):
        """Bytes that the guest has read of its root image."""
        return next(d["stats"]["rd_bytes"] for d in self.qmp("query-blockstats")
                    if d.get("device") == "root")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.agent:
            self.agent.close()
        self.qmp_socket.close()
