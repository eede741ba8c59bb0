# SPDX-License-Identifier: GPL-2.0-or-later
"""What the viewer's tests stand on: certificates, a broker of few words (HTTPS + Server-Sent
Events), a real QEMU VNC server, Xvfb, and the viewer itself. All on loopback."""
import contextlib
import datetime
import http.server
import ipaddress
import json
import os
import pathlib
import queue
import shutil
import socket
import ssl
import subprocess
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT = pathlib.Path(__file__).resolve().parents[2]
VIEWER = pathlib.Path(os.environ.get("CARREL_VIEWER", ROOT / "build/out/carrel-viewer"))
SEAT = "52:54:00:77:00:01"
DESKTOP_NAME = "server1.carrel.test"


def wait_for(what, condition, seconds=20):
    """Polls until `condition()` is true and returns its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


class Authority:
    """A certificate authority in a folder: ca.pem."""

    def __init__(self, folder, name="test CA"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key.public_key(), [], True)
        self.file = self.folder / "ca.pem"
        self._write(self.file, self.certificate)

    def _sign(self, subject, public, names, is_ca):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
                   .public_key(public).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=30))
                   .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), True))
        usage = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment",
                               "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
                               "encipher_only", "decipher_only"), False)
        if is_ca:
            usage["key_cert_sign"] = True
        else:
            usage["digital_signature"] = usage["key_encipherment"] = True
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        builder = builder.add_extension(x509.KeyUsage(**usage), True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        return builder.sign(self.key, hashes.SHA256())

    @staticmethod
    def _write(path, certificate):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, folder, name):
        """server-cert.pem, server-key.pem and ca-cert.pem in `folder`, as QEMU wants them."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        try:
            names = [x509.IPAddress(ipaddress.ip_address(name))]
        except ValueError:
            names = [x509.DNSName(name)]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._write(folder / "server-cert.pem",
                    self._sign(subject, key.public_key(), names, False))
        (folder / "server-key.pem").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption()))
        shutil.copy(self.file, folder / "ca-cert.pem")
        return folder


def free_port(first=5900):
    """A free port of loopback."""
    for port in range(first, first + 600):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


class Qmp:
    """A QEMU monitor."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        wait_for(f"monitor {path}", lambda: self._connect(path))
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self("qmp_capabilities")

    def _connect(self, path):
        try:
            self.socket.connect(str(path))
            return True
        except OSError:
            return False

    def __call__(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise AssertionError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def close(self):
        self.file.close()
        self.socket.close()


class Desktop:
    """A QEMU without a disk: its firmware's screen is the desktop. VNC by TLS and password."""

    def __init__(self, folder, certificates, port=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.log = open(self.folder / "qemu.log", "ab")
        monitor = self.folder / "monitor"
        monitor.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-m", "32", "-nodefaults", "-vga", "std",
             "-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci",
             "-object", f"tls-creds-x509,id=tls,dir={certificates},endpoint=server,"
             "verify-peer=no",
             "-vnc", f"127.0.0.1:{self.port - 5900},password=on,tls-creds=tls",
             "-qmp", f"unix:{monitor},server=on,wait=off"], stdout=self.log, stderr=self.log)
        self.qmp = Qmp(monitor)

    def ticket(self, text):
        """Sets the one-time password."""
        self.qmp("set_password", protocol="vnc", password=text)
        return text

    def screenshot(self, path):
        """The desktop's picture as the server has it."""
        self.qmp("screendump", filename=str(path), format="png")
        return path

    def clients(self):
        return self.qmp("query-vnc")["clients"]

    def close(self):
        self.qmp.close()
        self.process.kill()
        self.process.wait()
        self.log.close()


class Broker:
    """Speaks the client API; the test says what comes on the event stream."""

    def __init__(self, certificates, site="Carrel 교실", language="en"):
        self.site, self.language = site, language
        self.hello = {}  # what the answer to hello has besides
        self.requests = queue.Queue()  # (path, body or None)
        self.streams = []
        self.token = "token-1"
        self.tokens = {self.token}
        self.refused = set()  # paths that are answered with 409
        self.lock = threading.Lock()
        broker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body=None):
                data = json.dumps(body).encode() if body is not None else b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Connection", "close")
                self.close_connection = True
                self.end_headers()
                self.wfile.write(data)

            def known(self):
                word = self.headers.get("Authorization", "").removeprefix("Bearer ")
                if word in broker.tokens:
                    return True
                self.answer(401, {"code": "token", "message": "This login is over."})
                return False

            def do_GET(self):
                if self.path == "/v1/client/events" and self.known():
                    self.send_response(200)
                    self.send_header("Content-Type", "text/event-stream")
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.close_connection = True
                    self.stream(queue.Queue())

            def stream(self, events):
                with broker.lock:
                    broker.streams.append(events)
                broker.requests.put((self.path, None))
                try:
                    while True:
                        item = events.get()
                        if item is None:
                            return
                        self.wfile.write(item)
                        self.wfile.flush()
                except OSError:
                    pass

            def do_POST(self):
                size = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(size) or b"{}")
                if self.path == "/v1/client/hello":
                    broker.requests.put((self.path, body))
                    self.answer(200, {"site": broker.site, "language": broker.language,
                                      "version": "0", **broker.hello})
                elif self.path == "/v1/client/login":
                    broker.requests.put((self.path, body))
                    self.answer(202, {"login": broker.token})
                elif self.known():
                    broker.requests.put((self.path, body))
                    if self.path in broker.refused:
                        self.answer(409, {"code": "busy", "message": "Not now."})
                        return
                    self.answer(204 if self.path.endswith("report") else 202,
                                None if self.path.endswith("report") else {})

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server-cert.pem",
                                certificates / "server-key.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def expect(self, path, seconds=20):
        """The body of the next request to `path`; others before it are dropped."""
        end = time.monotonic() + seconds
        while True:
            try:
                got = self.requests.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no request to {path}") from None
            if got[0] == path:
                return got[1]

    def send(self, name, **data):
        with self.lock:
            self.streams[-1].put(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())

    def ready(self, desktop, ticket, tls_name=DESKTOP_NAME, port=None):
        if desktop:
            desktop.ticket(ticket)
        self.send("ready", host="127.0.0.1", port=port or desktop.port, ticket=ticket,
                  tls_name=tls_name, session=1)

    def handoff(self, step, ms=0, from_mib=2048, size_mib=1024):
        self.send("handoff", step=step, ms=ms, from_mib=from_mib, size_mib=size_mib, message="")

    def close(self):
        with self.lock:
            for stream in self.streams:
                stream.put(None)
        self.server.shutdown()
        self.server.server_close()


class Screen:
    """An X server without a screen."""

    def __init__(self, folder, size="1280x800"):
        self.log = open(pathlib.Path(folder) / "xvfb.log", "ab")
        read, write = os.pipe()
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp"],
            pass_fds=[write], stdout=self.log, stderr=self.log)
        os.close(write)
        with os.fdopen(read) as pipe:
            self.display = ":" + pipe.readline().strip()

    def xdotool(self, *words):
        subprocess.run(["xdotool", *words], check=True,
                       env={**os.environ, "DISPLAY": self.display})

    def key(self, *keys):
        self.xdotool("key", "--delay", "15", *keys)

    def type(self, text):
        self.xdotool("type", "--delay", "15", text)

    def grab(self):
        from PIL import ImageGrab
        return ImageGrab.grab(xdisplay=self.display)

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Viewer:
    """The program under test; its log is what the tests wait for."""

    def __init__(self, folder, display, broker, ca_file, *more, environment=None):
        self.path = pathlib.Path(folder) / "viewer.log"
        self.log = open(self.path, "ab")
        self.process = subprocess.Popen(
            [str(VIEWER), "--broker", broker, "--ca", str(ca_file), "--seat", SEAT, "--window",
             *more], stdout=self.log, stderr=self.log,
            # Leaks of a sanitizer build are looked for in the unit tests: the libraries' own
            # (D-Bus, X11's modules) would drown them here.
            env={"ASAN_OPTIONS": "detect_leaks=0", **os.environ, "DISPLAY": display,
                 "SDL_VIDEODRIVER": "x11",
                 **(environment or {})})

    def text(self):
        return self.path.read_text(errors="replace")

    def wait(self, words, seconds=20, times=1):
        def found():
            if self.process.poll() is not None:
                raise AssertionError(f"the viewer ended with {self.process.returncode}:\n"
                                     + self.text())
            return self.text().count(words) >= times
        wait_for(f"{words!r} in the viewer's log", found, seconds)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(10)
        self.log.close()
        return status


class Lab:
    """Certificates once for all tests; the rest for each."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority(folder / "ca")
        self.broker = self.authority.issue(folder / "broker", "127.0.0.1")
        self.desktop = self.authority.issue(folder / "desktop", DESKTOP_NAME)
        self.rogue = Authority(folder / "rogue-ca", "rogue CA").issue(
            folder / "rogue", DESKTOP_NAME)


class Seat:
    """A person at a viewer."""

    def __init__(self, lab, folder, *options, environment=None, **broker_options):
        self.broker = Broker(lab.broker, **broker_options)
        self.screen = Screen(folder)
        self.viewer = Viewer(folder, self.screen.display, self.broker.url, lab.authority.file,
                             *options, environment=environment)
        self.logins = 0
        self.status = 0  # with which the viewer is to end

    def log_in(self, user="alice", password="secret1"):
        self.logins += 1
        self.viewer.wait("to=login", times=self.logins)
        self.screen.type(user)
        self.screen.key("Tab")
        self.screen.type(password)
        self.screen.key("Return")
        body = self.broker.expect("/v1/client/login")
        self.broker.expect("/v1/client/events")
        return body

    def close(self):
        status = self.viewer.close()
        self.screen.close()
        self.broker.close()
        assert status == self.status, self.viewer.text()


@contextlib.contextmanager
def closing(*things):
    """Closes in reverse, whatever happens."""
    with contextlib.ExitStack() as stack:
        for thing in things:
            stack.callback(thing.close)
        yield things
