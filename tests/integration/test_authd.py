# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel-authd as a process: own users, and PAM with a stack of real modules."""

import os
import pathlib
import pwd
import signal
import statistics
import subprocess
import time
import unicodedata

import pytest

from helperclient import Client, Process

pytestmark = pytest.mark.quick

CONFIG = """
[broker]
user = {user}
[auth]
method = {method}
pam_service = carrel-test
uid_min = 30000
[paths]
run = {folder}
state = {folder}
"""

GOOD = "correct horse"


class Authd:
    """The process, its folder, its PAM services."""

    def __init__(self, program, folder, method="own", options=()):
        self.folder = folder
        self.pam = folder / "pam.d"
        self.pam.mkdir()
        self.config = folder / "carrel.conf"
        self.method(method)
        self.process = Process(
            [program("carrel-authd"), "--config", str(self.config), "--pam-confdir",
             str(self.pam), *options],
            folder / "log",
        )
        self.process.start()

    def method(self, method):
        user = pwd.getpwuid(os.getuid()).pw_name
        self.config.write_text(
            CONFIG.format(user=user, method=method, folder=self.folder), encoding="utf-8"
        )

    def client(self):
        return Client(self.folder / "authd.sock")

    def service(self, text):
        (self.pam / "carrel-test").write_text(text, encoding="ascii")

    def users(self):
        return (self.folder / "auth" / "users").read_text(encoding="utf-8")


@pytest.fixture
def authd(program, tmp_path):
    authd = Authd(program, tmp_path)
    yield authd
    assert authd.process.stop() == 0


@pytest.fixture
def client(authd):
    client = authd.client()
    yield client
    client.close()


@pytest.fixture
def pam(program, tmp_path):
    authd = Authd(program, tmp_path, "pam", ("--timeout", "3000"))
    yield authd
    assert authd.process.stop() == 0


def add(client, user, password=GOOD, full_name=""):
    return client.ok("user-add", user=user, password=password, full_name=full_name)["uid"]


def test_add_and_authenticate(client):
    uid = add(client, "alice", full_name="Alice Liddell")
    answer = client.ok("authenticate", user="alice", password=GOOD)
    assert answer["uid"] == answer["gid"] == uid == 30000
    assert (answer["user"], answer["full_name"]) == ("alice", "Alice Liddell")
    assert client.refused("authenticate", user="alice", password=GOOD + "x") == "denied"
    assert client.refused("authenticate", user="alice", password="") == "denied"


def test_unknown_user_is_answered_like_a_wrong_password(client):
    add(client, "alice")
    wrong = client.call("authenticate", user="alice", password="wrong")
    unknown = client.call("authenticate", user="nobodyhere", password="wrong")
    impossible = client.call("authenticate", user="../etc:x", password="wrong")
    for answer in (wrong, unknown, impossible):
        answer.pop("id")
    assert wrong == unknown == impossible


def test_unknown_user_takes_the_same_time(client):
    """Medians of interleaved runs; hashing takes milliseconds, its absence would be seen."""
    add(client, "alice")
    times = {"alice": [], "bob": [], "-bad": []}
    for _ in range(25):
        for user, list_ in times.items():
            start = time.perf_counter()
            client.refused("authenticate", user=user, password="wrong")
            list_.append(time.perf_counter() - start)
    fast = {user: statistics.median(list_) for user, list_ in times.items()}
    assert fast["bob"] > 0.6 * fast["alice"]
    assert fast["-bad"] > 0.6 * fast["alice"]


def test_names_mean_one_user(client):
    """Capital letters, and Korean composed or not, are the same user."""
    add(client, "Alice")
    assert client.ok("authenticate", user="aLICE", password=GOOD)["user"] == "alice"
    name = "홍길동"
    add(client, unicodedata.normalize("NFD", name), full_name="홍 길동")
    answer = client.ok("authenticate", user=name, password=GOOD)
    assert answer["user"] == unicodedata.normalize("NFC", name)
    assert client.refused("user-add", user=name, password=GOOD, full_name="") == "exists"


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".a", "_a", "a b", "a:b", "a/b", "a\nb", "root", "Daemon", "carrel-x", "1234",
     "a" * 33, "가" * 31, "ａｌｉｃｅ", "a\u200bb", "\u3164\u3164", "a$"],
)
def test_bad_names(client, name):
    assert client.refused("user-add", user=name, password=GOOD, full_name="") == "bad-name"


def test_bad_full_names(client):
    for name in ("a:b", "a\nb", "x" * 91):
        assert client.refused("user-add", user="a1", password=GOOD, full_name=name) == "bad-name"


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaa", "alice123", "x" * 257, "a\tbcdefghi"])
def test_weak_passwords(client, password):
    assert client.refused("user-add", user="alice", password=password, full_name="") == (
        "weak-password"
    )


def test_ids_are_never_given_twice(client):
    first = add(client, "alice")
    second = add(client, "bob")
    client.ok("user-del", user="bob")
    assert client.refused("user-del", user="bob") == "unknown-user"
    third = add(client, "bob")
    assert [first, second, third] == [30000, 30001, 30002]


def test_password_change(client):
    add(client, "alice")
    client.ok("user-passwd", user="alice", password="another one")
    assert client.refused("authenticate", user="alice", password=GOOD) == "denied"
    client.ok("authenticate", user="alice", password="another one")
    assert client.refused("user-passwd", user="bob", password=GOOD) == "unknown-user"
    assert client.refused("user-passwd", user="alice", password="x") == "weak-password"


def test_the_file(authd, client):
    add(client, "alice", full_name="A")
    path = authd.folder / "auth" / "users"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (authd.folder / "auth").stat().st_mode & 0o777 == 0o700
    name, digest, uid, full_name = authd.users().strip().split(":")
    assert (name, uid, full_name) == ("alice", "30000", "A")
    assert digest.startswith("$y$")
    assert GOOD not in authd.users()
    assert sorted(p.name for p in path.parent.iterdir()) == ["lock", "next-uid", "users"]


def test_a_damaged_line_locks_out_nobody_and_is_kept(authd, client):
    add(client, "alice")
    path = authd.folder / "auth" / "users"
    path.write_text("rubbish\n" + authd.users(), encoding="utf-8")
    client.ok("authenticate", user="alice", password=GOOD)
    answer = client.call("user-add", user="bob", password=GOOD, full_name="")
    assert answer["code"] == "unavailable" and "users:1" in answer["message"]
    assert authd.users().startswith("rubbish\n")


def test_foreign_folder_is_refused(authd, client):
    """A link in place of the folder is not followed."""
    folder = authd.folder / "auth"
    folder.rename(authd.folder / "elsewhere")
    folder.symlink_to(authd.folder / "elsewhere")
    assert client.refused("user-add", user="bob", password=GOOD, full_name="") == "unavailable"


def test_list_in_pages(authd, client):
    add(client, "u0")
    line = authd.users().strip().split(":")
    many = [f"u{i}:{line[1]}:{30000 + i}:" for i in range(700)]
    (authd.folder / "auth" / "users").write_text("\n".join(many) + "\n", encoding="utf-8")
    names = []
    while True:
        answer = client.ok("user-list", offset=len(names))
        assert answer["total"] == 700
        if not answer["users"]:
            break
        names += [u["user"] for u in answer["users"]]
    assert names == [f"u{i}" for i in range(700)]


def test_bad_requests(client):
    assert client.refused("user-add", user="a1") == "bad-request"
    assert client.refused("authenticate", user="a", password=GOOD, more=1) == "bad-request"
    assert client.refused("authenticate", user=1, password=GOOD) == "bad-request"
    assert client.refused("become-root") == "bad-request"
    assert client.raw(b"rubbish")["code"] == "bad-request"
    assert client.raw(b'{"op":"user-list"}')["code"] == "bad-request"
    client.ok("user-list")


def test_many_at_once(client):
    """More requests than run at one time are all answered, each with its own id."""
    add(client, "alice")
    ids = {client.send("authenticate", user="alice", password=GOOD) for _ in range(40)}
    answers = [client.receive() for _ in range(40)]
    assert {a["id"] for a in answers} == ids
    assert all(a["ok"] for a in answers)


def test_no_password_in_the_log(authd, client):
    add(client, "alice", "visible-secret")
    client.refused("authenticate", user="alice", password="visible-guess")
    client.refused("user-add", user="a1", password="visible-third")
    assert "visible" not in authd.process.logged()


def test_restart_keeps_users(authd, client):
    add(client, "alice")
    authd.process.kill()
    authd.process.start()
    again = authd.client()
    again.ok("authenticate", user="alice", password=GOOD)
    again.close()


def test_second_instance_is_refused(authd, client):
    argv = authd.process.argv
    other = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert other.returncode == 1
    assert "another process serves" in other.stderr
    client.ok("user-list")


def test_socket_from_systemd(program, tmp_path, need):
    """The socket is handed over, as carrel-authd.socket does it."""
    need("systemd-socket-activate")
    config = tmp_path / "carrel.conf"
    user = pwd.getpwuid(os.getuid()).pw_name
    config.write_text(CONFIG.format(user=user, method="own", folder=tmp_path), encoding="utf-8")
    path = tmp_path / "handed.sock"
    argv = ["systemd-socket-activate", "--seqpacket", "-l", str(path),
            program("carrel-authd"), "--config", str(config)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
        assert b"Listening" in process.stderr.readline()
        client = Client(path)
        assert client.ok("user-list")["users"] == []
        client.close()
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0
    assert not (tmp_path / "authd.sock").exists()


PERMIT = "auth required pam_permit.so\naccount required pam_permit.so\n"


def person():
    """A user of this machine that is no system user, or a skip."""
    for entry in pwd.getpwall():
        if 1000 <= entry.pw_uid < 60000 and entry.pw_name.isalnum():
            return entry
    pytest.skip("this machine has no user with an id from 1000 on")
    return None


def test_pam_permit_and_deny(pam):
    user = person()
    client = pam.client()
    pam.service(PERMIT)
    answer = client.ok("authenticate", user=user.pw_name, password="any")
    assert (answer["uid"], answer["gid"]) == (user.pw_uid, user.pw_gid)
    pam.service(PERMIT.replace("auth required pam_permit", "auth required pam_deny"))
    assert client.refused("authenticate", user=user.pw_name, password="any") == "denied"
    pam.service(PERMIT.replace("account required pam_permit", "account required pam_deny"))
    assert client.refused("authenticate", user=user.pw_name, password="any") == "denied"
    client.close()


def test_pam_refuses_system_users(pam):
    client = pam.client()
    pam.service(PERMIT)
    assert client.refused("authenticate", user="root", password="any") == "denied"
    assert client.refused("authenticate", user="backup", password="any") == "denied"
    client.close()


def exec_service(script):
    """The script decides; pam_exec alone calls its "no" a system error."""
    return (f"auth [success=1 default=ignore] pam_exec.so expose_authtok quiet {script}\n"
            "auth requisite pam_deny.so\n"
            "auth required pam_permit.so\n"
            "account required pam_permit.so\n")


def test_pam_gets_the_password(pam):
    """pam_exec hands the password to a script, which compares it."""
    user = person()
    script = pam.folder / "check"
    script.write_text('#!/bin/sh\n[ "$(tr -d "\\000")" = "$PAM_USER-secret" ]\n')
    script.chmod(0o755)
    pam.service(exec_service(script))
    client = pam.client()
    client.ok("authenticate", user=user.pw_name, password=f"{user.pw_name}-secret")
    assert client.refused("authenticate", user=user.pw_name, password="guess") == "denied"
    client.close()


def test_pam_that_hangs_costs_one_login(pam):
    """Another login is answered meanwhile; the hung one ends as unavailable and is killed."""
    user = person()
    fifo, started = pam.folder / "fifo", pam.folder / "pid"
    os.mkfifo(fifo)
    os.mkfifo(started)
    script = pam.folder / "hang"
    script.write_text(f'#!/bin/sh\n[ "$(tr -d "\\000")" = hang ] || exit 0\n'
                      f"echo $PPID > {started}\nread x < {fifo}\n")
    script.chmod(0o755)
    pam.service(exec_service(script))
    slow, quick = pam.client(), pam.client()
    slow.send("authenticate", user=user.pw_name, password="hang")
    pid = int(started.read_text())
    quick.ok("authenticate", user=user.pw_name, password="other")
    assert pathlib.Path(f"/proc/{pid}").exists()
    answer = slow.receive()
    assert answer["code"] == "unavailable"
    deadline = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < deadline, "the hung child was left behind"
        os.sched_yield()
    slow.close()
    quick.close()


def is_alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_pam_that_crashes_costs_one_login(pam):
    user = person()
    client = pam.client()
    script = pam.folder / "crash"
    # $PPID is the child that runs PAM
    script.write_text("#!/bin/sh\nkill -SEGV $PPID\n")
    script.chmod(0o755)
    pam.service(exec_service(script))
    assert client.refused("authenticate", user=user.pw_name, password="x") == "unavailable"
    pam.service(PERMIT)
    client.ok("authenticate", user=user.pw_name, password="x")
    client.close()


def test_pam_has_no_own_users(pam):
    client = pam.client()
    pam.service(PERMIT)
    for op, members in (
        ("user-list", {}),
        ("user-del", {"user": "a1"}),
        ("user-passwd", {"user": "a1", "password": GOOD}),
        ("user-add", {"user": "a1", "password": GOOD, "full_name": ""}),
    ):
        assert client.refused(op, **members) == "not-own"
    client.close()


def test_missing_pam_service_is_said(pam):
    client = pam.client()
    answer = client.call("authenticate", user=person().pw_name, password="x")
    assert answer["code"] == "unavailable" and "carrel-test" in answer["message"]
    client.close()


def test_reload_changes_the_method(authd, client):
    assert client.ok("user-list")["total"] == 0
    authd.method("pam")
    authd.process.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while "reloaded" not in authd.process.logged():
        assert time.monotonic() < deadline
        os.sched_yield()
    assert client.refused("user-list") == "not-own"
