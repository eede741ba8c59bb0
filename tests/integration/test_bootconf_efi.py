# SPDX-License-Identifier: GPL-2.0-or-later
"""What UEFI PCs start: one EFI program of kernel, initramfs and command line, signed when the site has
a key; made once for the same parts, never put in use when it is not right."""
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "boot"))
from bootsite import EFI_STUB, ROOT, Site, missing  # noqa: E402

pytestmark = pytest.mark.skipif(missing() != "", reason="missing: " + missing())


class EfiSite(Site):
    def make_key(self, *options):
        subprocess.run([os.path.join(ROOT, "scripts/carrel-pki"), "--dir", self.path("pki"), "boot-key",
                        *options], check=True, capture_output=True)

    def link(self):
        return self.path("state/boot/current/tftp/carrel.efi")

    def section(self, name):
        """The contents of a section of the program that is in use."""
        out = self.path("section")
        subprocess.run(["objcopy", "-O", "binary", "--only-section", name, os.path.realpath(self.link()), out],
                       check=True)
        with open(out, "rb") as f:
            return f.read()

    def signed(self):
        done = subprocess.run(["sbverify", "--cert", self.path("pki/secure-boot.crt"), self.link()],
                              capture_output=True, check=False)
        return done.returncode == 0

    def programs(self, version="20260301.1"):
        return sorted(n for n in os.listdir(self.path("state/boot/http/boot", version))
                      if n not in ("vmlinuz", "initrd"))


@pytest.fixture
def site():
    folder = tempfile.mkdtemp(prefix="carrel-bootconf-test-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    yield EfiSite(folder)
    shutil.rmtree(folder)


def test_without_a_key(site):
    for option in ("--check", None):
        said = site.run(*filter(None, [option]))
        assert "not signed: UEFI PCs start only with Secure Boot switched off" in said
        assert "carrel boot key make" in said
    cmdline = site.section(".cmdline").decode()
    menu = site.menu()
    assert cmdline and f"  APPEND {cmdline}\n" in menu
    assert "carrel.verity=1:" + "ab" * 32 in cmdline
    for section, file in ((".linux", "kernel"), (".initrd", "initrd")):
        with open(site.path("images/client/20260301.1", file), "rb") as f:
            assert site.section(section) == f.read()
    assert os.stat(site.link()).st_mode & 0o777 == 0o644
    assert site.programs() == [os.path.basename(os.path.realpath(site.link()))]


def test_signed_once(site):
    site.make_key()
    assert "signed with " + site.path("pki/secure-boot.key") in site.run()
    assert site.signed()
    before = os.stat(site.link())
    assert "unchanged" in site.run()
    assert os.stat(site.link()).st_ino == before.st_ino
    # by TFTP and by HTTP the same file
    target = os.readlink(site.link())
    assert target.startswith("boot/20260301.1/carrel-")
    assert os.path.samefile(site.link(), site.path("state/boot/http", target))


def test_the_key_comes_later_and_changes(site):
    site.run()
    plain = site.programs()
    site.make_key()
    assert "-SAY" not in site.run("--dry-run") and site.current() == "gen/1"
    site.run()
    assert site.current() == "gen/2" and site.signed()
    assert set(plain) < set(site.programs()) and len(site.programs()) == 2
    site.make_key("--force")
    assert not site.signed()
    site.run()
    assert site.signed()
    assert not set(plain) & set(site.programs()) and len(site.programs()) == 2


def test_dry_run_shows_a_new_program_and_no_change(site):
    site.run()
    assert "\nno change\n" in site.run("--dry-run")
    site.make_key()
    assert "carrel.efi" in site.run("--dry-run")


def test_another_command_line_is_another_program(site):
    site.make_key()
    site.run()
    first = os.path.realpath(site.link())
    site.conf["boot"]["kernel_options"] = "nomodeset"
    site.write()
    site.run()
    assert os.path.realpath(site.link()) != first and site.signed()
    assert site.section(".cmdline").endswith(b" quiet nomodeset")
    site.run("--rollback")
    assert os.path.realpath(site.link()) == first and site.signed()


def test_spoilt_program_is_made_again(site):
    for key in (False, True):
        if key:
            site.make_key()
        site.run()
        path = os.path.realpath(site.link())
        with open(path, "rb") as f:
            good = f.read()
        at = good.index(b"20260301.1initrd")
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(b"3")
        site.run()
        with open(path, "rb") as f:
            assert f.read()[at:at + 16] == b"20260301.1initrd"


def test_rollback_needs_the_program(site):
    site.run()
    site.image("20260302.1")
    site.run()
    os.unlink(site.path("state/boot/http/boot/20260301.1", site.programs()[0]))
    assert "carrel.efi: leads nowhere" in site.run("--rollback", status=1)
    assert site.current() == "gen/2"


def other_certificate(site):
    shutil.copy(site.path("pki/secure-boot.crt"), site.path("crt"))
    site.make_key("--force")
    shutil.copy(site.path("crt"), site.path("pki/secure-boot.crt"))


def garbage(site, name):
    with open(site.path("pki", name), "w") as f:
        f.write("-----BEGIN NOTHING-----\n")


@pytest.mark.parametrize("spoil,message", [
    (lambda s: os.unlink(s.path("pki/secure-boot.key")), "secure-boot.key: is missing, but its other half"),
    (lambda s: os.unlink(s.path("pki/secure-boot.crt")), "secure-boot.crt: is missing, but its other half"),
    (other_certificate, "refuses what was rendered"),
    (lambda s: garbage(s, "secure-boot.key"), "sbsign refuses"),
    (lambda s: garbage(s, "secure-boot.crt"), "sbsign refuses"),
])
def test_bad_key_changes_nothing(site, spoil, message):
    site.make_key()
    site.run()
    programs = site.programs()
    site.conf["boot"]["kernel_options"] = "nomodeset"
    site.write()
    spoil(site)
    assert message in site.run("--check", status=1)
    assert message in site.run(status=1)
    assert site.current() == "gen/1" and site.programs() == programs


def test_stub(site):
    assert "install the package systemd-boot-efi" in site.run("--efi-stub", "/nonexistent", status=1)
    stub = site.path("stub")
    with open(EFI_STUB, "rb") as f:
        data = f.read()
    for bad in (b"", b"MZ", data[:512], b"x" + data[1:]):
        with open(stub, "wb") as f:
            f.write(bad)
        said = site.run("--efi-stub", stub, status=1)
        assert "is no EFI program for 64-bit PCs" in said or "objcopy refuses" in said
    assert not os.path.lexists(site.path("state/boot/current"))


def test_missing_tools(site):
    """Each is named with its package."""
    folder = site.path("bin")
    os.mkdir(folder)
    site.make_key()
    env = {"PATH": folder}
    assert "install the package binutils" in site.run(status=1, env=env)
    os.symlink("/usr/bin/objcopy", folder + "/objcopy")
    assert "install the package sbsigntool" in site.run(status=1, env=env)
    os.symlink("/usr/bin/sbsign", folder + "/sbsign")
    assert "sbverify is missing" in site.run(status=1, env=env)
    os.symlink("/usr/bin/sbverify", folder + "/sbverify")
    site.run(env=env)


@pytest.mark.skipif(os.geteuid() != 0, reason="a key that another user cannot read needs root")
def test_key_of_somebody_else(site):
    site.make_key()
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", os.path.join(
        ROOT, "build/out/carrel-bootconf"), "--check", "-c", site.path("carrel.conf"), "--templates",
        os.path.join(ROOT, "bootserver/templates")], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "secure-boot.key: Permission denied" in done.stderr
