# SPDX-License-Identifier: GPL-2.0-or-later
"""The init of the client's root as process 1 of a PID namespace, with a viewer that ends as it is
told. The kernel does not end the machine for it, but the namespace, and says how in the signal."""
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("CARREL_BUILD", pathlib.Path(__file__).parents[2] / "build/out"))
BUSYBOX = shutil.which("busybox")

pytestmark = [pytest.mark.root, pytest.mark.skipif(not BUSYBOX, reason="missing: busybox")]
# Every namespace that it could reach the machine through is its own.
ALONE = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--net", "--uts", "--ipc", "chroot"]


@pytest.fixture
def root(tmp_path):
    for folder in ("bin", "usr/bin", "sbin", "dev", "run/carrel", "tmp"):
        (tmp_path / folder).mkdir(parents=True)
    tmp_path.chmod(0o755)
    shutil.copy(BUSYBOX, tmp_path / "bin/sh")
    shutil.copy(BUILD / "carrel-root-init", tmp_path / "sbin/init")
    (tmp_path / "lives").touch()
    (tmp_path / "lives").chmod(0o666)
    return tmp_path


def run(root, *statuses):
    """The viewer ends with these statuses, one a life; how init's end is told."""
    (root / "usr/bin/carrel-viewer").write_text("#!/bin/sh\necho life >>/lives\nset -- %s\nn=0\n"
                                                "while read -r line; do n=$((n + 1)); done </lives\n"
                                                "shift $((n - 1))\nexit $1\n" % " ".join(map(str, statuses)))
    (root / "usr/bin/carrel-viewer").chmod(0o755)
    done = subprocess.run([*ALONE, str(root), "/sbin/init"], capture_output=True, text=True, timeout=30)
    return done.returncode, len((root / "lives").read_text().splitlines())


@pytest.mark.parametrize("status, end", [(10, signal.SIGINT), (11, signal.SIGHUP)])
def test_the_viewer_asks_for_the_end(root, status, end):
    assert run(root, status) in ((128 + end, 1), (-end, 1))


def test_any_other_end_is_followed_by_another_viewer(root):
    assert run(root, 0, 10) in ((128 + signal.SIGINT, 2), (-signal.SIGINT, 2))


def test_it_is_process_1_or_nothing():
    done = subprocess.run([BUILD / "carrel-root-init"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and "process 1" in done.stderr
