# SPDX-License-Identifier: GPL-2.0-or-later
"""Versions of an image as they lie on disk, tiny but whole: a real file system, its dm-verity tree,
a lock, a signature."""
import hashlib
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import socketserver
import subprocess
import threading

import signing

ENVIRONMENT = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
SALT = "ab" * 32


def run(*words):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True,
                          errors="replace", env=ENVIRONMENT).stdout


def packages(**versions):
    """Lines of a lock: packages(libc6="2.36-9")."""
    lines = []
    for name, version in versions.items():
        name = name.replace("_", "-")
        digest = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
        file = f"{name}_{version.replace(':', '%3a')}_amd64.deb"
        lines.append(f"{digest} 1000 {file} http://debian.example/pool/{file}\n")
    return "".join(lines)


def make_root(folder, form, tree):
    """root.FORM of the folder `tree`, with the dm-verity tree behind; its part of the manifest."""
    path = folder / f"root.{form}"
    if form == "erofs":
        run("mkfs.erofs", "-zlz4hc", "-T", "0", "-U", "00000000-0000-0000-0000-000000000001", path, tree)
    else:
        run("mksquashfs", tree, path, "-noappend", "-quiet", "-no-progress", "-mkfs-time", "0", "-all-time",
            "0", "-reproducible")
    blocks = (path.stat().st_size + 4095) // 4096
    os.truncate(path, blocks * 4096)
    said = run("veritysetup", "format", "--no-superblock", "--hash=sha256", "--data-block-size=4096",
               "--hash-block-size=4096", f"--data-blocks={blocks}", f"--hash-offset={blocks * 4096}",
               f"--salt={SALT}", path, path)
    return {"format": form, "data_blocks": blocks, "block_size": 4096, "salt": SALT,
            "root_hash": re.search(r"^Root hash:\s*([0-9a-f]{64})$", said, re.M).group(1)}


def entry(path):
    data = path.read_bytes()
    return {"file": path.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def make_version(images, pki, name, version, form="erofs", kind="desktop", tree=None, lock=None, seed=None):
    """images/NAME/VERSION, signed by the key in `pki`. The same arguments give the same bytes."""
    folder = pathlib.Path(images) / name / version
    folder.mkdir(parents=True)
    noise = random.Random(seed or f"{name}@{version}")
    (folder / "vmlinuz").write_bytes(noise.randbytes(3000))
    (folder / "initrd").write_bytes(noise.randbytes(2000))
    own = folder.parent / ".tree"
    if tree is None:
        own.mkdir()
        (own / "data").write_bytes(noise.randbytes(20000))
        (own / "text").write_text("hello\n" * 1000)
    root = make_root(folder, form, tree or own)
    shutil.rmtree(own, ignore_errors=True)
    (folder / "packages.lock").write_text(lock or packages(libc6="2.36-9", zlib1g="1:1.2.13"))
    (folder / "sbom.json").write_text(json.dumps({"spdxVersion": "SPDX-2.3", "name": name}))
    (folder / "build.log").write_text(f"built {name}\n")
    manifest = {
        "name": name, "version": version, "kind": kind, "inputs": "aa" * 32, "recipe": "bb" * 32,
        "files": {"kernel": entry(folder / "vmlinuz"), "initrd": entry(folder / "initrd"),
                  "root": entry(folder / f"root.{form}")},
        "root": root, "cmdline": "quiet", "packages": (folder / "packages.lock").read_text().count("\n"),
        "lock": {k: v for k, v in entry(folder / "packages.lock").items() if k != "size"},
        "sbom": {k: v for k, v in entry(folder / "sbom.json").items() if k != "size"}}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    signing.sign(folder, pki)
    return folder


class Carreld(socketserver.ThreadingUnixStreamServer):
    """Answers GET /v1/images on a Unix socket. `answers` are given one after the other, the last one
    from then on; one that can be called is called first. Counts how often the servers are to remove
    what is gone."""

    def __init__(self, path, *answers):
        self.answers, self.asked, self.swept = list(answers), 0, 0
        carreld = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = carreld.answers[min(carreld.asked, len(carreld.answers) - 1)]
                carreld.asked += 1
                status, body = answer() if callable(answer) else answer
                self.reply(status if self.path == "/v1/images" else 404, body)

            def do_POST(self):
                known = self.path == "/v1/images/sweep"
                carreld.swept += known
                self.reply(200 if known else 404, {})

            def reply(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

            def address_string(self):
                return "carrel"

        super().__init__(str(path), Handler)
        self.daemon_threads = True
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
        os.unlink(self.server_address)


def usage(keep=(), **channels):
    """carreld's answer: what is in use."""
    return 200, {"keep": list(keep), "channels": {"stable": "", "testing": "", "previous": "", **channels}}
