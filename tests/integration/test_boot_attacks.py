# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot server under attack by a PC: real dnsmasq, nginx and nfs-ganesha as carrel-bootconf configures
them, in namespaces. What a PC is to fetch is public; nothing else is had, and nothing is written."""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from urllib.parse import quote

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "boot"))
from bootroom import SERVER, Room  # noqa: E402
from bootsite import Site, missing  # noqa: E402

LACKS = [missing()] if missing() else []
LACKS += [name for name in ("ganesha.nfsd", "nfs-cat", "nfs-ls", "nfs-cp") if not shutil.which(name)]
pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(LACKS), reason="missing: " + ", ".join(LACKS))]

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = int(os.environ.get("CARREL_ATTACK_SEED", "1865"))
SECRET = "the queen of hearts"
# Where the boot server's own secrets lie; these can be read by everybody, as a careless site leaves them.
SECRETS = ("state/carrel.db", "state/boot/secret", "state/boot/gen/secret", "state/boot/http/secret",
           "state/boot/http/boot/.secret", "state/boot/http/images/.secret", "images/client/secret",
           "images/desktop/20260101.1/root.erofs", "volumes/alice.img", "carrel.conf.secret")


@pytest.fixture
def room():
    folder = tempfile.mkdtemp(prefix="carrel-attack-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    site = Site(folder)
    site.conf["boot"]["nfs"] = "ganesha"
    made = Room(site)
    try:
        made.address()
        made.serve("dnsmasq", "nginx", "nfs")
        for name in SECRETS:
            os.makedirs(os.path.dirname(site.path(name)), exist_ok=True)
            with open(site.path(name), "w", encoding="utf-8") as f:
                f.write(SECRET)
        yield made
    finally:
        made.clear()
        shutil.rmtree(folder)


def beginnings(folder):
    """Of each file below it that a PC may have: its name from there, and its first block in hex."""
    found = {}
    for path, _, names in os.walk(folder, followlinks=True):
        for name in names:
            with open(os.path.join(path, name), "rb") as f:
                if not name.startswith("."):
                    found[os.path.relpath(f.name, folder)] = f.read(512).hex()
    return found


def files_of_the_server(site):
    """All of the site's and those of the system's folders that have something to hide."""
    found = []
    for top in (site.dir, "/etc", "/var/log", "/var/lib/dpkg/triggers"):
        for path, _, names in os.walk(top):
            found += [os.path.join(path, name) for name in names]
    return sorted(found) + ["/proc/self/environ", "/proc/1/cmdline", "/dev/mem", "/root/.bashrc"]


def tftp_names(path, root):
    up = "../" * (root.count("/") + 1)
    return [path, path[1:], up + path[1:], "boot/" + up + path[1:], "/" + root + "/.." + path,
            os.path.relpath(path, root), root + "/" + os.path.relpath(path, root),
            ("..\\" * 12 + path[1:]).replace("/", "\\")]


def http_targets(path, root):
    up, inside = "../" * 12, os.path.relpath(path, root)
    bare = quote(path)
    return [bare, "/" + quote(inside), "/boot" + bare, "/images/" + quote(inside), "/boot/" + up + bare[1:],
            "/images/..%2f..%2f" + inside.replace("/", "%2f"), "/boot/%2e%2e/%2e%2e" + bare,
            "/boot/x/%252e%252e/%252e%252e" + bare, "/images../" + quote(inside),
            "/boot/carrel.efi/" + up + bare[1:], "/boot/%c0%ae%c0%ae/" + bare[1:], "/images/..\\..\\" + bare[1:],
            "http://boot" + bare, "/boot/20260301.1/vmlinuz%00/" + up + bare[1:], "/images//" + up + bare[1:]]


def test_greedy_client_gets_what_is_public(room):
    site = room.site
    tftp_root, http_root = site.path("state/boot/current/tftp"), site.path("state/boot/http")
    tftp_public, http_public = beginnings(tftp_root), beginnings(http_root)
    for name in SECRETS:
        http_public.pop(os.path.relpath(site.path(name), http_root), None)
    http_public["boot/carrel.efi"] = tftp_public["carrel.efi"]
    files = files_of_the_server(site)
    assert len(files) > 500 and site.path("pki/image-signing.key") in files
    wanted = {"tftp": [n for f in files for n in tftp_names(f, tftp_root)] + list(tftp_public),
              "http": [n for f in files for n in http_targets(f, http_root)] + ["/" + n for n in http_public]}
    wanted = {by: [name.encode().decode("latin-1") for name in names if len(name) < 480]
              for by, names in wanted.items()}
    got = room.script("greedy.py", SERVER, given=wanted)
    print("asked for %d names by TFTP, %d by HTTP; refused %d" % (len(wanted["tftp"]), len(wanted["http"]),
                                                                  got["refused"]))
    for by, public in (("tftp", tftp_public), ("http", http_public)):
        assert set(got[by].values()) == set(public.values()), by
        assert SECRET.encode().hex() not in str(got[by])
    # under its own name each was had
    assert {n: got["http"]["/" + n] for n in http_public} == http_public
    assert {n: got["tftp"][n] for n in tftp_public} == tftp_public
    # what lies beside them is no file of theirs
    assert not {"/boot/", "/images/", "/"} & set(got["http"])


def nfs(room, *argv):
    return subprocess.run(room.lab.within("pc", *argv), capture_output=True, check=False, timeout=60)


def test_greedy_client_by_nfs(room):
    """The root images, to be read; the server's other files have no name there."""
    site, url = room.site, "nfs://%s%s?version=4"
    images = beginnings(site.path("state/boot/http/images"))
    listed = nfs(room, "nfs-ls", "-R", url % (SERVER, "/")).stdout.decode().split()
    assert {name for name in listed if name.endswith(".root")} and set(images) <= {
        os.path.basename(name) for name in listed}
    assert not [name for name in listed if any(word in name for word in ("etc", "pki", "gen", "carrel"))]
    for name, start in images.items():
        assert nfs(room, "nfs-cat", url % (SERVER, "/client/" + name)).stdout[:512].hex() == start
    for path in [site.path(name) for name in SECRETS if "images/." not in name] + [
            site.path("pki/secure-boot.key"), site.path("pki/image-signing.key"), "/etc/passwd", "/etc/shadow",
            site.path("carrel.conf")]:
        inside = os.path.relpath(path, site.path("state/boot/http/images"))
        for name in (path, "/client" + path, "/client/" + inside, "/" + inside):
            done = nfs(room, "nfs-cat", url % (SERVER, name))
            assert done.returncode != 0 and not done.stdout, name
    before = tree(site)
    for name in ("/client/new", *("/client/" + image for image in images), "/new"):
        assert nfs(room, "nfs-cp", "/etc/hostname", url % (SERVER, name)).returncode != 0
    assert tree(site) == before


def tree(site):
    """All files of the boot server but those that its daemons keep: logs, leases, what they run with."""
    found = {}
    for path, folders, names in os.walk(site.dir):
        kept = os.path.relpath(path, site.dir)
        if kept in ("state/boot/log", "run", "state/boot/ganesha"):
            folders.clear()
            continue
        found[kept] = ""
        for name in names:
            if name not in ("dnsmasq.leases", "dnsmasq.err", "nginx.err", "nfs.err"):
                with open(os.path.join(path, name), "rb") as f:
                    found[os.path.join(kept, name)] = hashlib.sha256(f.read()).hexdigest()
    return found


def still_serves(room, seconds):
    """Each daemon, to a client that asks properly, within that time."""
    (answer,), = room.ask("PXEClient:Arch:00000:UNDI:002001:0", address="10.77.0.50")
    assert answer["file"] == "lpxelinux.0" and answer["yiaddr"].startswith("10.77.0.")
    until, wanted = time.monotonic() + seconds, {"tftp": ["lpxelinux.0"], "http": ["/boot/carrel.efi"]}
    while True:
        try:
            got = room.script("greedy.py", SERVER, given=wanted)
            break
        except AssertionError:  # it gave no answer in time
            assert time.monotonic() < until
    assert got["tftp"] and got["http"] and not got["refused"]


def test_malformed_requests(room):
    site = room.site
    before = tree(site)
    print("seed: CARREL_ATTACK_SEED=%d" % SEED)
    assert room.script("malformed.py", SERVER, "lan0", str(SEED), "500") == 1500
    still_serves(room, 20)
    for name, process in room.daemons.items():
        assert process.poll() is None, room.log(name)
    assert tree(site) == before
    # who reads the logs reads one message a line
    for line in room.log("dnsmasq").rstrip("\n").split("\n"):
        assert " dnsmasq" in line[:40] and line[:3].isalpha(), line
    with open(site.path("state/boot/log/http.log"), encoding="utf-8") as f:
        for line in f:
            assert line.split()[1] == "10.77.0.50" and line.endswith('"\n'), line


def test_requests_that_are_begun_and_left(room):
    """One PC begins more than the servers would hold at once, and says no more: others are served."""
    with subprocess.Popen(room.lab.within("pc", sys.executable, os.path.join(HERE, "boot/holding.py"), SERVER),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        start = time.monotonic()
        still_serves(room, 40)
        print("served after %.1f s" % (time.monotonic() - start))
        holder.stdin.close()
