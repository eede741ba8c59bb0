# SPDX-License-Identifier: GPL-2.0-or-later
"""A site on the loopback interface: the real carreld and carrel, peers played by the test."""
import http.client
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import signing
from fakes.peers import Authd, Netd, Server

REPO = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("CARREL_BUILD", REPO / "build" / "out"))
ADDRESS = "127.77.0.1"
IMAGE = "desktop-lite@20260301.1"


def free_port():
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-keyout", folder / "server.key", "-out", folder / "server.crt",
                    "-subj", "/CN=carrel test", "-addext", "subjectAltName=IP:" + ADDRESS],
                   check=True, capture_output=True)


class Stream:
    """An open event stream; a thread reads it into a queue of (event, data)."""

    def __init__(self, site, token, client):
        self.connection = site.connect(client)
        self.connection.request("GET", "/v1/client/events", headers={"Authorization": "Bearer " + token})
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.seen = []
        self.queue = queue.Queue()
        if self.status == 200:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        event = None
        try:
            for line in self.response:
                line = line.decode().rstrip("\n")
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: "):
                    self.queue.put((event, json.loads(line[6:])))
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self.queue.put((None, None))

    def wait(self, name, seconds=10):
        """The data of the next event of that name; None is the end of the stream."""
        while True:
            try:
                event, data = self.queue.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError("no %s within %s s, only %s" % (name, seconds, self.seen)) from None
            self.seen.append((event, data))
            if event == name:
                return data
            assert event is not None, "the stream ended before %s: %s" % (name, self.seen)

    def close(self):
        sock = self.connection.sock or self.response.fp.raw._sock
        sock.shutdown(socket.SHUT_RDWR)


class Site:
    def __init__(self, folder, certificate, **options):
        self.folder = pathlib.Path(folder)
        self.port, self.report_port = free_port(), free_port()
        for name in ("run", "state", "pki", "bin"):
            (self.folder / name).mkdir()
        for name in ("server.key", "server.crt"):
            shutil.copy(certificate / name, self.folder / "pki")
        signing.make_keys(self.folder / "pki")
        shutil.copy(BUILD / "carreld", self.folder / "bin")
        shutil.copy(REPO / "tests/integration/fakes/carrel-virtd", self.folder / "bin")
        self.conf = self.folder / "carrel.conf"
        self.log = self.folder / "log"
        self.write_conf(**options)
        self.publish(IMAGE)
        self.authd = Authd(self.folder / "run/authd.sock")
        self.netd = Netd(self.folder / "run/netd.sock")
        self.server = Server(self.folder / "virt-one.sock")
        self.process = None

    def write_conf(self, call_timeout=30, standby=0, claim_timeout=20, boot_reserve="no", more=""):
        self.conf.write_text("""[network]
client_address = %s/24
client_range = 127.77.0.100-127.77.0.200
server_interface = eth0
server_network = 127.78.0.0/24
[broker]
port = %d
report_port = %d
call_timeout = %d
[desktop]
max_mib = 4096
min_mib = 1024
standby = %d
claim_timeout = %d
boot_reserve = %s
[paths]
state = %s/state
run = %s/run
images = %s/images
pki = %s/pki
%s""" % (ADDRESS, self.port, self.report_port, call_timeout, standby, claim_timeout, boot_reserve, self.folder, self.folder, self.folder,
          self.folder, more))

    def publish(self, image):
        name, version = image.split("@")
        folder = self.folder / "images" / name / version
        folder.mkdir(parents=True)
        # The broker's fakes start no VM: no file of the image is looked at.
        some = {"size": 8192, "sha256": "ab" * 32}
        (folder / "manifest.json").write_text(json.dumps({
            "name": name, "version": version, "kind": "desktop", "cmdline": "quiet",
            "files": {key: {"file": key, **some} for key in ("kernel", "initrd", "root")},
            "root": {"format": "erofs", "data_blocks": 1, "block_size": 4096,
                     "root_hash": "ab" * 32, "salt": "cd"}}))
        signing.sign(folder, self.folder / "pki")
        link = folder.parent / "current"
        link.unlink(missing_ok=True)
        link.symlink_to(version)

    def start(self):
        self.process = subprocess.Popen(
            [self.folder / "bin/carreld", "--config", self.conf, "--print-ready", "--debug"],
            stdout=subprocess.PIPE, stderr=open(self.log, "ab"), text=True)
        assert self.process.stdout.readline() == "READY\n", self.log.read_text()
        return self

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        status = self.process.wait(10)
        self.process.stdout.close()
        self.process = None
        return status

    def end(self):
        if self.process:
            status = self.stop()
            assert status == 0, self.log.read_text()[-4000:]
        for peer in (self.authd, self.netd, self.server):
            if os.path.exists(peer.path):
                peer.close()

    def add_server(self):
        self.cli("server", "add", "one", "qemu+tls://one/system")
        self.wait_status(lambda s: s["servers"] and s["servers"][0]["state"] == "up")

    def wait_log(self, text, seconds=10):
        """Waits until a line of carreld's log has the text."""
        with subprocess.Popen(["tail", "-n", "+1", "-F", self.log], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True) as tail:
            timer = threading.Timer(seconds, tail.kill)
            timer.start()
            try:
                for line in tail.stdout:
                    if text in line:
                        return line
                raise AssertionError("no %r in the log: %s" % (text, self.log.read_text()[-4000:]))
            finally:
                timer.cancel()
                tail.kill()

    def wait_status(self, condition, seconds=10):
        """carreld's own state, asked for after each thing that its log says."""
        with subprocess.Popen(["tail", "-n", "+1", "-F", self.log], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as tail:
            timer = threading.Timer(seconds, tail.kill)
            timer.start()
            try:
                while True:
                    status = json.loads(self.cli("status", "--json").stdout)
                    if condition(status):
                        return status
                    if not tail.stdout.readline():
                        raise AssertionError("not within %s s: %s" % (seconds, status))
            finally:
                timer.cancel()
                tail.kill()

    def cli(self, *args, status=0, stdin=None):
        done = subprocess.run([BUILD / "carrel", "--config", self.conf, *args], text=True,
                              capture_output=True, input=stdin, timeout=20)
        assert done.returncode == status, (args, done.stdout, done.stderr)
        return done

    def connect(self, client="127.77.0.101"):
        context = ssl.create_default_context(cafile=self.folder / "pki/server.crt")
        return http.client.HTTPSConnection(ADDRESS, self.port, context=context, timeout=20,
                                           source_address=(client, 0))

    def request(self, method, path, body=None, token=None, client="127.77.0.101", raw=None):
        connection = self.connect(client)
        headers = {"Authorization": "Bearer " + token} if token else {}
        connection.request(method, path, raw if raw is not None else json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text else None

    def login(self, user="alice", password="wonderland", client="127.77.0.101", seat="52:54:00:77:00:01", boot=()):
        status, answer = self.request("POST", "/v1/client/login", {
            "user": user, "password": password, "seat": seat, "boot": list(boot)}, client=client)
        assert status == 202, answer
        return answer["login"], Stream(self, answer["login"], client)
