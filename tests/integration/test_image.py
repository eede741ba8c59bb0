# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel-image-build: mistakes are told before anything is made; what it made is what it says."""
import hashlib
import json
import os
import shutil
import subprocess

import pytest

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(TOP, "images/build/carrel-image-build")
RECIPE = os.path.join(TOP, "images/recipes/desktop-lite")

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="building an image needs root")


def build(*arguments):
    return subprocess.run([BUILD, *map(str, arguments)], capture_output=True, text=True, check=False)


def programs(tmp_path):
    """Stand-ins for the programs: these tests end before one of them would run."""
    for name in ("carrel-agent", "carrel-waitscreen", "carrel-ximwait", "carrel-desktop-init"):
        shutil.copy("/bin/true", tmp_path / name)
    return tmp_path


def refused(tmp_path, *arguments):
    out = tmp_path / "out"
    result = build("--out", out, "--cache", tmp_path / "cache", "--programs", programs(tmp_path),
                   "--unsigned", *arguments)
    assert result.returncode == 1
    assert not (out / "desktop-lite").exists()
    return result.stderr


def test_usage():
    assert "--out DIR" in build("--help").stdout
    assert "--out and --cache are needed" in build().stderr
    assert "unknown option --frobnicate" in build("--frobnicate").stderr
    assert "--out needs a value" in build("--out").stderr


@needs_root
def test_mistakes_in_a_recipe(tmp_path):
    assert "unknown key \"colour\"" in refused(tmp_path, "--set", "colour=red")
    assert "allowed: yes, no" in refused(tmp_path, "--set", "sudo=maybe")
    assert "has no file named recipe" in refused(tmp_path, "--recipe", tmp_path)
    assert "knows no suite nosuch" in refused(tmp_path, "--set", "suite=nosuch")
    copy = tmp_path / "recipe"
    shutil.copytree(RECIPE, copy)
    text = (copy / "recipe").read_text()
    (copy / "recipe").write_text(text.replace("upper = 40%\n", ""))
    assert "the key \"upper\" is missing" in refused(tmp_path, "--recipe", copy)


@needs_root
def test_missing_program(tmp_path):
    folder = programs(tmp_path)
    (tmp_path / "carrel-ximwait").unlink()
    result = build("--out", tmp_path / "out", "--cache", tmp_path / "cache", "--programs", folder,
                   "--unsigned")
    assert result.returncode == 1 and f"no carrel-ximwait in {folder}" in result.stderr


@needs_root
def test_handoff_is_hard_or_live(tmp_path):
    result = build("--out", tmp_path / "out", "--cache", tmp_path / "cache", "--programs", programs(tmp_path),
                   "--unsigned", "--set", "handoff=soft")
    assert result.returncode == 1 and "allowed: hard, live" in result.stderr


@pytest.mark.lab
@needs_root
def test_manifest_tells_the_truth(tmp_path):
    """Of the version that the lab uses; and a second call makes nothing."""
    out, cache = os.path.join(TOP, "build", "images"), os.path.join(TOP, "build", "cache")
    key = os.path.join(TOP, "build", "pki", "image-signing.key")
    assert build("--out", out, "--cache", cache, "--sign", key).returncode == 0
    version = os.path.realpath(os.path.join(out, "desktop-lite", "current"))
    with open(os.path.join(version, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    assert manifest["handoff"] == "hard"
    for entry in manifest["files"].values():
        with open(os.path.join(version, entry["file"]), "rb") as file:
            data = file.read()
        assert len(data) == entry["size"]
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    root = os.path.join(version, manifest["files"]["root"]["file"])
    verity = manifest["root"]
    subprocess.run(["veritysetup", "verify", "--no-superblock", "--hash=sha256",
                    "--data-block-size=4096", "--hash-block-size=4096",
                    f"--data-blocks={verity['data_blocks']}",
                    f"--hash-offset={verity['data_blocks'] * 4096}", f"--salt={verity['salt']}",
                    root, root, verity["root_hash"]], check=True)
    signer = os.path.join(TOP, "build/out/carrel-image-sign")
    subprocess.run([signer, "--verify", "--pub", key.replace(".key", ".pub"),
                    os.path.join(version, "manifest.json"), os.path.join(version, "manifest.sig")],
                   check=True)
    again = build("--out", out, "--cache", cache, "--sign", key)
    assert again.returncode == 0 and "is up to date" in again.stdout
    assert os.path.realpath(os.path.join(out, "desktop-lite", "current")) == version


@pytest.mark.full
@needs_root
def test_desktop_lite_exactly_again(tmp_path):
    """From the lock of the version that the lab uses, with a cache of its own that fetches every package
    from the lock's addresses."""
    out, cache = os.path.join(TOP, "build", "images"), os.path.join(TOP, "build", "cache")
    key = os.path.join(TOP, "build", "pki", "image-signing.key")
    assert build("--out", out, "--cache", cache, "--sign", key).returncode == 0
    version = os.path.realpath(os.path.join(out, "desktop-lite", "current"))
    name = os.path.basename(version)
    again = build("--out", tmp_path / "out", "--cache", tmp_path / "cache", "--sign", key, "--lock",
                  os.path.join(version, "packages.lock"), "--version", name)
    assert again.returncode == 0, again.stdout + again.stderr
    for file in ("vmlinuz", "initrd", "root.erofs", "sbom.json", "manifest.json", "manifest.sig"):
        subprocess.run(["cmp", os.path.join(version, file), tmp_path / "out/desktop-lite" / name / file], check=True)
