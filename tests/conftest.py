# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures that all of Carrel's pytest folders share."""

import os
import pathlib
import shutil

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent


def pytest_runtest_setup(item):
    """A test marked `root` is skipped, with the reason, when the runner is not root."""
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(scope="session")
def top():
    """The folder of the sources."""
    return TOP


@pytest.fixture(scope="session")
def build_dir():
    """The folder of what `make` has built: $CARREL_BUILD, or build/out."""
    path = pathlib.Path(os.environ.get("CARREL_BUILD") or "build/out")
    return path if path.is_absolute() else TOP / path


@pytest.fixture(scope="session")
def program(build_dir):
    """program("carreld") is the path of a built program; a missing one fails: `make` comes first."""

    def find(name):
        path = build_dir / name
        if not path.exists():
            pytest.fail(f"{path} is not built: run make first")
        return str(path)

    return find


@pytest.fixture(scope="session")
def need():
    """need("nft", "ip") skips the test when one of the commands is missing, and says which."""

    def check(*commands):
        folders = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        missing = [c for c in commands if not shutil.which(c, path=folders)]
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)} (scripts/deps --test installs it)")

    return check
