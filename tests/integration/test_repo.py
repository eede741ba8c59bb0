# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed and what is said about it: units, manual pages, dependencies."""

import os
import re
import stat
import subprocess

import pytest

pytestmark = pytest.mark.quick

# Exposure by `systemd-analyze security`, times ten. nfs-ganesha changes its user for each request.
EXPOSURE = 20
EXPOSURE_OF = {"carrel-nfs.service": 21}

FOLDERS = ("/usr/local/", "/etc/", "/lib/systemd/", "/lib/sysusers.d/", "/lib/tmpfiles.d/")


def run(*argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def tree(top, build_dir, tmp_path_factory):
    """What `make install DESTDIR=` makes of the standard build."""
    if build_dir != top / "build" / "out":
        pytest.skip("only the standard build is installed")
    dest = tmp_path_factory.mktemp("dest")
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = run("make", "-C", str(top), "install", f"DESTDIR={dest}", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return dest


def files(tree):
    return {"/" + str(p.relative_to(tree)): p for p in tree.rglob("*") if not p.is_dir()}


def test_install_stays_in_its_folders(tree):
    strays = [name for name in files(tree) if not name.startswith(FOLDERS)]
    assert strays == []


def test_installed_modes(tree):
    for name, path in files(tree).items():
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode in (0o644, 0o755), name
        if "/bin/" in name or "/sbin/" in name:
            assert mode == 0o755, name


def test_nothing_installed_names_the_build(tree, top):
    for name, path in files(tree).items():
        data = path.read_bytes()
        # programs: their debugging information does
        if not data.startswith(b"\x7fELF"):
            assert str(top).encode() not in data, name


def test_every_command_has_a_manual_page(tree):
    names = files(tree)
    pages = {os.path.basename(n).rpartition(".")[0] for n in names if "/share/man/" in n}
    commands = {os.path.basename(n) for n in names if "/bin/" in n or "/sbin/" in n}
    assert commands - pages == set()
    assert "carrel.conf" in pages


def test_units_start_what_is_installed(tree, build_dir):
    names = files(tree)
    # the images' recipes, which are installed too, have units of their own
    units = {n: p for n, p in names.items()
             if n.startswith("/lib/systemd/system/") and n.endswith(".service")}
    assert len(units) >= 8
    for unit, path in units.items():
        text = path.read_text(encoding="utf-8")
        assert "@" not in re.sub(r"=~?@[a-z-]+( @[a-z-]+)*", "", text), unit
        for command in re.findall(r"^Exec\w+=(\S+)", text, re.M):
            if command.startswith("/bin/"):
                continue
            assert command.startswith(("/usr/local/sbin/carrel", "/usr/local/libexec/carrel/"))
            if (build_dir / os.path.basename(command)).exists():
                assert command in names, f"{unit}: {command}"


def test_manual_of_the_configuration_has_every_key(tree, top):
    page = next(p for n, p in files(tree).items() if n.endswith("/carrel.conf.5"))
    text = page.read_text(encoding="utf-8")
    keys = re.findall(r'^CONF_KEY\(\w+, "(\w+)", "(\w+)"',
                      (top / "broker/shared/conf_keys.h").read_text(encoding="utf-8"), re.M)
    assert len(keys) > 20
    for group, key in keys:
        section = text.partition(f".Ss [{group}]\n")[2].partition(".Ss [")[0]
        assert f".It Li {key}\n" in section, f"[{group}] {key}"


def test_units_are_sandboxed(build_dir, need):
    need("systemd-analyze")
    units = sorted((build_dir / "systemd").glob("*.service"))
    assert units
    for unit in units:
        limit = EXPOSURE_OF.get(unit.name, EXPOSURE)
        done = run("systemd-analyze", "security", "--offline=true", "--no-pager",
                   f"--threshold={limit}", str(unit))
        assert done.returncode == 0, done.stdout.splitlines()[-1:] + [done.stderr]


@pytest.fixture
def boot_run(top, tmp_path):
    """boot-run with a carrel-bootconf that names two commands."""
    fake = tmp_path / "carrel-bootconf"
    fake.write_text("#!/bin/sh\nprintf 'one\\techo \"a  b\" c\\nbad\\tfalse\\n'\n")
    fake.chmod(0o755)
    script = tmp_path / "boot-run"
    text = (top / "scripts/systemd/boot-run.in").read_text(encoding="utf-8")
    script.write_text(text.replace("@SBINDIR@", str(tmp_path)))
    script.chmod(0o755)
    return lambda *argv: run(str(script), *argv)


def test_boot_run(boot_run):
    assert boot_run("one").stdout == "a  b c\n"
    assert boot_run("bad").returncode == 1
    assert boot_run("--has", "one").returncode == 0
    assert boot_run("--has", "two").returncode == 1
    assert boot_run("--if-any", "one").stdout == "a  b c\n"
    assert boot_run("--if-any", "two").returncode == 0
    missing = boot_run("two")
    assert missing.returncode == 1 and "two" in missing.stderr
    assert boot_run().returncode == 2


@pytest.fixture(scope="module")
def deps(top):
    return lambda *argv, **options: run(str(top / "scripts/deps"), *argv, **options)


def test_deps_lists_each_package_once_with_a_reason(deps):
    rows = deps("--list").stdout.splitlines()
    assert len(rows) > 50
    names = [row.split()[1] for row in rows]
    assert len(names) == len(set(names))
    for row in rows:
        group, _, reason = row.split(None, 2)
        assert group in ("build", "run", "server", "test") and len(reason) > 5
    assert len(deps("--build", "--list").stdout.splitlines()) < len(rows)


def test_deps_with_errors(deps, tmp_path):
    assert deps("--everything").returncode == 1
    # a system without dpkg: only what the script itself needs is on the path
    for tool in ("sh", "cat", "awk", "cut", "sed", "tr", "wc", "id"):
        os.symlink(f"/usr/bin/{tool}", tmp_path / tool)
    done = deps("--build", env={"PATH": str(tmp_path)})
    assert done.returncode == 1 and "no Debian" in done.stderr


def fake_dpkg(tmp_path, body):
    tool = tmp_path / "dpkg-query"
    tool.write_text(f"#!/bin/sh\n{body}\n")
    tool.chmod(0o755)
    apt = tmp_path / "apt-get"
    apt.write_text('#!/bin/sh\necho "apt-get $*"\nexit 1\n')
    apt.chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin"}


def test_deps_leaves_apt_alone_when_all_is_there(deps, tmp_path):
    done = deps("--test", env=fake_dpkg(tmp_path, "echo 'ii '"))
    assert done.returncode == 0 and "apt-get" not in done.stdout


def test_deps_names_what_is_missing_and_why(deps, tmp_path):
    done = deps("--run", env=fake_dpkg(tmp_path, "exit 1"))
    assert done.returncode == 1
    assert re.search(r"dnsmasq-base +DHCP", done.stdout)
    assert ("apt-get install" in done.stdout) == (os.geteuid() == 0)


def test_readme_has_the_table_of_dependencies(deps, top):
    readme = top / "README.md"
    if not readme.exists():
        pytest.skip("there is no README.md")
    text = readme.read_text(encoding="utf-8")
    missing = [row for row in deps("--markdown").stdout.splitlines() if row not in text]
    assert missing == [], "put the output of scripts/deps --markdown into README.md"
