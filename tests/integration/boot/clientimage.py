# SPDX-License-Identifier: GPL-2.0-or-later
"""The image of the PCs as carrel-image-build makes it, with a stand-in where the viewer will be."""
import fcntl
import os
import shutil
import subprocess

import signing

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
OUT = os.path.join(ROOT, "build/out")
CACHE = os.path.join(ROOT, "build/cache")


def run(*argv, **kw):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **kw).stdout


def _write(folder, files):
    """What a site's folder of firmware has: path -> bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content)


def _build(kept, firmware):
    """Its folder, unsigned; only when an input has changed is it made anew."""
    folder = os.path.join(kept, "firmware")
    _write(folder, firmware)
    images, ca = os.path.join(kept, "images"), os.path.join(kept, "ca.crt")
    for name in ("carrel-init", "carrel-root-init"):
        shutil.copy(os.path.join(OUT, name), kept)
    run("gcc", "-O2", "-o", os.path.join(kept, "carrel-viewer"),
        os.path.join(ROOT, "tests/integration/boot/standin.c"))
    if not os.path.exists(ca):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days",
            "3650", "-keyout", os.path.join(kept, "ca.key"), "-out", ca)
    run(os.path.join(ROOT, "images/build/carrel-image-build"), "--recipe", "client", "--out", images,
        "--programs", kept, "--ca", ca, "--unsigned", "--cache", CACHE, "--firmware", folder)
    current = os.path.realpath(os.path.join(images, "client/current"))
    for name in os.listdir(os.path.join(images, "client")):
        folder = os.path.join(images, "client", name)
        if os.path.isdir(folder) and os.path.realpath(folder) != current:
            shutil.rmtree(folder)
    return current


def build(images, pki, firmware={}):
    """Publishes it in `images`, signed with keys that are made in `pki`, also for Secure Boot. `firmware`
    is what the folder of the cards' firmware has: path -> bytes."""
    kept = os.path.join(CACHE, "standin" + ("-firmware" if firmware else ""))
    os.makedirs(kept, exist_ok=True)
    signing.make_keys(pki)
    run(os.path.join(ROOT, "scripts/carrel-pki"), "--dir", pki, "boot-key")
    with open(os.path.join(kept, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        current = _build(kept, firmware)
        version = os.path.join(images, "client", os.path.basename(current))
        shutil.copytree(current, version)
    signing.sign(version, pki)
    os.symlink(os.path.basename(version), os.path.join(images, "client/current"))
