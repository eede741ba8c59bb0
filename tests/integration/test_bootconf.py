# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel-bootconf as a person or a unit runs it: what is rendered, refused, kept and rolled back."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

import signing

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "boot"))
from bootsite import PROGRAM, ROOT, Site, missing  # noqa: E402

pytestmark = pytest.mark.skipif(missing() != "", reason="missing: " + missing())


@pytest.fixture
def site():
    folder = tempfile.mkdtemp(prefix="carrel-bootconf-test-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    yield Site(folder)
    shutil.rmtree(folder)


def test_first_rendering(site):
    site.run()
    assert site.current() == "gen/1"
    menu = site.menu()
    assert "http://10.77.0.1:80/boot/20260301.1/vmlinuz" in menu
    assert "carrel.nfs=off carrel.root=client-20260301.1.root carrel.size=8192" in menu
    for words in ("ALLOWOPTIONS 0", "IMPLICIT 0", "NOESCAPE 1", "PROMPT 0"):
        assert re.search(f"^{words}$", menu, re.M), words
    boot = site.path("state/boot/http")
    assert open(boot + "/images/client-20260301.1.root", "rb").read(14) == b"20260301.1root"
    assert os.stat(boot + "/boot/20260301.1/vmlinuz").st_mode & 0o777 == 0o644
    for program in ("lpxelinux.0", "ldlinux.c32"):
        assert os.path.getsize(site.path("state/boot/current/tftp", program)) > 10000
    conf = open(site.path("state/boot/current/dnsmasq.conf")).read()
    assert "port=0" in conf.split() and "dhcp-range=10.77.0.100,10.77.0.250,255.255.255.0,60m" in conf


def test_again_changes_nothing(site):
    site.run()
    assert "unchanged" in site.run()
    assert site.current() == "gen/1"
    assert os.listdir(site.path("state/boot/gen")) == ["1"]


def test_change_and_rollback(site):
    site.run()
    assert "there is no rendering before" in site.run("--rollback", status=1)
    site.image("20260302.1")
    assert "-SAY Carrel 20260301.1" in site.run("--dry-run")
    assert site.current() == "gen/1"
    site.run()
    assert site.current() == "gen/2" and "20260302.1" in site.menu()
    assert os.path.exists(site.path("state/boot/http/boot/20260301.1/vmlinuz"))
    assert "20260301.1" in site.run("--rollback")
    assert site.current() == "gen/1" and "20260301.1" in site.menu()
    site.run("--rollback")
    assert site.current() == "gen/2"


def test_old_versions_go(site):
    for day in range(1, 6):
        site.image("2026040%d.1" % day, *(["drivers"] if day > 2 else []))  # older ones have no pack of them
        site.run()
    assert sorted(os.listdir(site.path("state/boot/http/boot"))) == ["20260404.1", "20260405.1"]
    assert sorted(os.listdir(site.path("state/boot/http/images"))) == [
        "client-20260404.1.drivers", "client-20260404.1.root",
        "client-20260405.1.drivers", "client-20260405.1.root"]
    assert sorted(os.listdir(site.path("state/boot/gen"))) == ["4", "5"]


def test_check_changes_nothing(site):
    assert "good: image client@20260301.1" in site.run("--check")
    assert not os.path.exists(site.path("state"))


@pytest.mark.parametrize("spoil,message", [
    (lambda s: os.unlink(s.path("images/client/current")), "no image `client` is published"),
    (lambda s: os.unlink(s.path("images/client/20260302.1/initrd")), "initrd: No such file"),
    (lambda s: open(s.path("images/client/20260302.1/root"), "r+b").write(b"x"), "(sha256)"),
    (lambda s: open(s.path("images/client/20260302.1/kernel"), "ab").write(b"x"), "(size)"),
    (lambda s: open(s.path("images/client/20260302.1/manifest.json"), "w").write("{"),
     "manifest.json is not signed by this site"),
    (lambda s: os.unlink(s.path("images/client/20260302.1/manifest.sig")), "manifest.sig"),
    (lambda s: signing.make_keys(s.path("pki")), "by another key"),
])
def test_bad_image_leaves_what_is_in_use(site, spoil, message):
    site.run()
    site.image("20260302.1")
    spoil(site)
    assert message in site.run(status=4)
    assert site.current() == "gen/1" and "20260301.1" in site.menu()
    assert os.listdir(site.path("state/boot/gen")) == ["1"]


def test_bad_configuration(site):
    site.run()
    for group, key, value, message in (
            ("network", "client_range", "10.99.0.1-10.99.0.9", "client_range"),
            ("network", "no_such_key", "1", "no_such_key"),
            ("boot", "image", "Client", "[boot] image = Client"),
            ("paths", "run", "/run/a;b", "[paths] run = /run/a;b")):
        site.conf[group][key], before = value, site.conf[group].get(key)
        site.write()
        assert message in site.run(status=3)
        if before is None:
            del site.conf[group][key]
        else:
            site.conf[group][key] = before
    assert site.current() == "gen/1"
    assert "No such file" in subprocess.run([PROGRAM, "-c", "/nonexistent"], capture_output=True,
                                            text=True).stderr


def test_what_the_daemons_refuse_is_not_used(site):
    """A template that a site has changed, badly: dnsmasq's and nginx's own checks see it."""
    site.run()
    site.image("20260302.1")
    for name in ("dnsmasq.conf.in", "nginx.conf.in"):
        templates = site.path("templates")
        shutil.copytree(os.path.join(ROOT, "bootserver/templates"), templates)
        with open(os.path.join(templates, name), "a") as f:
            f.write("no-such-word yes\n")
        done = subprocess.run([PROGRAM, "-c", site.path("carrel.conf"), "--templates", templates],
                              capture_output=True, text=True)
        assert done.returncode == 1 and "refuses what was rendered" in done.stderr
        assert site.current() == "gen/1"
        shutil.rmtree(templates)


def test_tree_that_daemons_cannot_reach(site):
    os.mkdir(site.path("state"), 0o700)
    assert "chmod o+x " + site.path("state") in site.run(status=1)
    os.chmod(site.path("state"), 0o711)
    site.run()


def test_missing_programs(site):
    assert "install the packages pxelinux" in site.run("--pxelinux", site.dir, status=1)


def test_usage(site):
    assert "--no-such" in site.run("--no-such", status=2)
    assert "nonsense" in site.run("nonsense", status=2)


def test_nfs_is_said(site):
    assert site.run("--print-nfs").splitlines()[0] == "off"
    site.conf["boot"]["nfs"] = "auto"
    site.write()
    kind, why = site.run("--print-nfs").splitlines()
    assert kind in ("kernel", "ganesha", "off") and "NFS" in why


def test_commands(site):
    lines = dict(line.split("\t") for line in site.run("--commands").splitlines())
    assert set(lines) == {"setup-ipv6", "dnsmasq", "nginx"}
    assert lines["dnsmasq"].endswith("--conf-file=" + site.path("state/boot/current/dnsmasq.conf"))
    site.conf["boot"]["nfs"] = "ganesha"
    site.write()
    if shutil.which("ganesha.nfsd"):
        lines = dict(line.split("\t") for line in site.run("--commands").splitlines())
        assert lines["nfs"].startswith("/usr/bin/ganesha.nfsd -F ")


def test_commands_are_of_the_rendering_in_use(site):
    """In a unit's sandbox the host looks different: nfsd's module, /proc and interfaces are hidden there."""
    site.run()
    commands = site.run("--commands")
    address = site.conf["network"].pop("client_address")
    site.write()
    assert "client_address could not be found out" in site.run(status=3)
    assert site.run("--commands") == commands
    site.conf["network"].update(client_address=address, dhcp="proxy")
    site.write()
    assert site.run("--commands") == commands
    site.run()
    assert site.run("--commands") == re.sub("setup-ipv6.*\n", "", commands)
    site.run("--rollback")
    assert site.run("--commands") == commands
