# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel boot key: made once, shown, never overwritten unasked; what is to be enrolled is of that key."""
import hashlib
import json
import os
import stat
import subprocess

import pytest

pytestmark = pytest.mark.quick


@pytest.fixture
def carrel(program, top, tmp_path, need):
    """carrel("boot", ...) with a folder of keys of its own; checks the exit status."""
    need("certtool", "openssl")
    (tmp_path / "carrel.conf").write_text(f"[paths]\npki={tmp_path}/pki\n")

    def run(*words, status=0, path=f"{top}/scripts:/usr/bin:/bin"):
        done = subprocess.run([program("carrel"), "--config", tmp_path / "carrel.conf", *words],
                              env={"PATH": path}, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    run.pki = tmp_path / "pki"
    return run


def sha256_of_der(crt):
    der = subprocess.run(["openssl", "x509", "-in", crt, "-outform", "der"], check=True,
                         capture_output=True).stdout
    return der, hashlib.sha256(der).hexdigest()


def test_key_is_made_once(carrel):
    assert "run: carrel boot key make" in carrel("boot", "key", "show", status=1)
    said = carrel("boot", "key", "make")
    der, sum_ = sha256_of_der(carrel.pki / "secure-boot.crt")
    assert sum_ in said and "db" in said and "mokutil --import" in said
    assert stat.S_IMODE(os.stat(carrel.pki / "secure-boot.key").st_mode) == 0o600
    assert (carrel.pki / "secure-boot/carrel.cer").read_bytes() == der
    key = (carrel.pki / "secure-boot.key").read_bytes()
    assert "ok (as it was)" in carrel("boot", "key", "make")
    assert (carrel.pki / "secure-boot.key").read_bytes() == key
    text = subprocess.run(["openssl", "x509", "-in", carrel.pki / "secure-boot.crt", "-noout", "-text"],
                          check=True, capture_output=True, text=True).stdout
    assert "2048 bit" in text and "sha256WithRSAEncryption" in text and "Code Signing" in text


def test_show_as_json(carrel):
    made = json.loads(carrel("boot", "key", "make", "--json"))
    shown = json.loads(carrel("boot", "key", "show", "--json"))
    assert made == shown
    assert shown["sha256"] == sha256_of_der(shown["certificate"])[1]
    end = subprocess.run(["openssl", "x509", "-in", shown["certificate"], "-noout", "-enddate", "-dateopt",
                          "iso_8601"], check=True, capture_output=True, text=True).stdout
    assert end.strip() == "notAfter=" + shown["ends"].replace("T", " ")
    assert str(carrel.pki / "secure-boot/carrel.cer") in shown["enrol"]
    assert all(os.path.getsize(name) for name in shown["enrol"])


def test_force_makes_another(carrel):
    before = json.loads(carrel("boot", "key", "make", "--json"))
    after = json.loads(carrel("boot", "key", "make", "--force", "--json"))
    assert before["sha256"] != after["sha256"] and before["enrol"] == after["enrol"]
    der, _ = sha256_of_der(after["certificate"])
    assert (carrel.pki / "secure-boot/carrel.cer").read_bytes() == der
    assert "--force is no option of boot key show" in carrel("boot", "key", "show", "--force", status=2)


@pytest.mark.parametrize("lost", ["secure-boot.key", "secure-boot.crt"])
def test_half_a_pair_is_not_overwritten(carrel, lost):
    carrel("boot", "key", "make")
    (carrel.pki / lost).unlink()
    assert "restore it from" in carrel("boot", "key", "make", status=1)
    assert not (carrel.pki / lost).exists()
    carrel("boot", "key", "make", "--force")


def test_what_is_enrolled_is_the_certificate(carrel, need, tmp_path):
    need("sig-list-to-certs", "sign-efi-sig-list")
    carrel("boot", "key", "make")
    der, _ = sha256_of_der(carrel.pki / "secure-boot.crt")
    for name in ("PK", "KEK", "db"):
        esl = carrel.pki / "secure-boot" / (name + ".esl")
        subprocess.run(["sig-list-to-certs", esl, tmp_path / name], check=True, capture_output=True)
        assert (tmp_path / (name + "-0.der")).read_bytes() == der
        # EFI_VARIABLE_AUTHENTICATION_2: time, a PKCS#7 of the length it says, then the list itself
        auth = (carrel.pki / "secure-boot" / (name + ".auth")).read_bytes()
        signature = int.from_bytes(auth[16:20], "little")
        assert auth[16 + signature:] == esl.read_bytes()
        assert der in auth[40:16 + signature]


def test_without_efitools(carrel, top, tmp_path):
    """Certificate and key are made all the same, and what is missing is said."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in ("certtool", "cat", "chmod", "cp", "date", "getent", "id", "install", "mkdir", "mktemp", "mv",
                    "rm", "sed", "sh", "tail"):
        (folder / command).symlink_to("/usr/bin/" + command)
    said = carrel("boot", "key", "make", path=f"{top}/scripts:{folder}")
    assert "install the package efitools" in said
    assert os.listdir(carrel.pki / "secure-boot") == ["carrel.cer"]
    assert "install the package" not in carrel("boot", "key", "make")
    assert (carrel.pki / "secure-boot/db.auth").exists()


def test_without_carrel_pki(carrel):
    if os.path.exists("/usr/local/sbin/carrel-pki"):
        pytest.skip("carrel-pki is installed on this machine")
    assert "there is no carrel-pki" in carrel("boot", "key", "show", status=1, path="/usr/bin:/bin")


def test_the_address_is_that_of_the_configuration(top, tmp_path, program, need):
    need("certtool")
    (tmp_path / "carrel").symlink_to(program("carrel"))

    def init(network, path=f"{tmp_path}:/usr/bin:/bin"):
        (tmp_path / "carrel.conf").write_text(f"[network]\n{network}\n")
        return subprocess.run([f"{top}/scripts/carrel-pki", "--dir", tmp_path / "pki", "--config",
                               tmp_path / "carrel.conf", "init"], env={"PATH": path}, capture_output=True,
                              text=True, check=False)

    for network, words in (("client_interface = absent0", "carrel config check says why"),
                           ("client_address = 10.77.0.1", "allowed is an IPv4 address")):
        refused = init(network)
        assert refused.returncode == 1 and words in refused.stderr, refused.stderr
    assert os.listdir(tmp_path / "pki") == []
    made = init("client_address = 192.168.20.7/24")
    assert made.returncode == 0, made.stderr
    text = subprocess.run(["certtool", "--certificate-info", "--infile", tmp_path / "pki/server.crt"],
                          check=True, capture_output=True, text=True).stdout
    assert "IPAddress: 192.168.20.7" in text


def test_keys_from_a_backup_get_their_modes_back(top, tmp_path, need):
    """Who copies a backup gives all files one mode, and the broker could not read what is public then."""
    need("certtool")
    command = [f"{top}/scripts/carrel-pki", "--dir", tmp_path / "pki", "init", "--address", "10.77.0.1"]

    def files():
        subprocess.run(command, check=True, capture_output=True)
        found = [f for f in (tmp_path / "pki").rglob("*") if f.suffix in (".key", ".crt", ".pub", ".pem")]
        assert len(found) == 9
        return {f: (stat.S_IMODE(f.stat().st_mode), f.read_bytes()) for f in found}

    made = files()
    for mode in (0o600, 0o644):
        for f in made:
            f.chmod(mode)
        assert files() == made
