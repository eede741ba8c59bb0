# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel plan and carrel simulate, as typed; and the rules of the tiers written down a second time."""
import json
import random
import re
import subprocess
import xml.etree.ElementTree

import pytest

from fakes.site import Site, make_certificate

pytestmark = pytest.mark.quick

TWO = ("--servers", "4096,4096", "--max", "4096", "--min", "512")

# Two servers of 4 GiB: users, desktops in units of 512 MiB, free in the same, the tier.
TABLE = [
    (1, [8], 8, 0), (2, [8, 4], 4, 1), (3, [4] * 3, 4, 1), (4, [4] * 3 + [2], 2, 2),
    (5, [4] * 2 + [2] * 3, 2, 2), (6, [4] + [2] * 5, 2, 2), (7, [2] * 7, 2, 2),
    (8, [2] * 7 + [1], 1, 3), (9, [2] * 6 + [1] * 3, 1, 3), (10, [2] * 5 + [1] * 5, 1, 3),
    (11, [2] * 4 + [1] * 7, 1, 3), (12, [2] * 3 + [1] * 9, 1, 3), (13, [2] * 2 + [1] * 11, 1, 3),
    (14, [2] + [1] * 13, 1, 3), (15, [1] * 15, 1, 3), (16, [1] * 16, 0, 3)]


@pytest.fixture
def carrel(program):
    """carrel(argument, ..., status=0, stdin=None) runs the command to its end."""

    def run(*args, status=0, stdin=None):
        done = subprocess.run([program("carrel"), *args], input=stdin, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == status, (args, done.stdout[-500:], done.stderr)
        return done

    return run


@pytest.fixture
def plan(carrel):
    return lambda *args: json.loads(carrel("plan", *args, "--json").stdout)


@pytest.fixture
def simulate(carrel):
    """simulate(lines, argument, ...): an object for each event."""

    def run(lines, *args):
        text = "".join(line + "\n" for line in lines)
        out = carrel("simulate", *args, "--trace", "-", "--json", stdin=text).stdout
        return [json.loads(line) for line in out.splitlines()]

    return run


def test_the_table_row_by_row(plan):
    answer = plan(*TWO)
    assert answer["capacity"] == 16 and len(answer["rows"]) == 16
    for row, (users, desktops, free, tier) in zip(answer["rows"], TABLE):
        assert row["users"] == users and row["tier"] == tier
        assert row["desktops_mib"] == [512 * d for d in desktops]
        assert row["free_mib"] == 512 * free
        first_of_tier = users in (1, 2, 4, 8, 16)
        assert row["handoffs"] == len(row["moved"]) == (0 if first_of_tier else 1)
    assert [(t["m"], t["size_mib"], t["slots"], t["threshold"]) for t in answer["tiers"]] == [
        (0, 4096, 2, 1), (1, 2048, 4, 3), (2, 1024, 8, 7), (3, 512, 16, 15)]


def test_the_table_for_people_says_the_same(carrel):
    text = carrel("plan", *TWO).stdout
    rows = re.findall(r"^ *(\d+) +(\d+) +(\d+)  (\d+[0-9x, ]*?)(?:  +u(\d+) .*)?$", text, re.M)
    assert len(rows) == 16
    for found, (users, desktops, free, tier) in zip(rows, TABLE):
        assert tuple(map(int, found[:3])) == (users, tier, 512 * free)
        sizes = []
        for part in found[3].split(","):
            size, _, count = part.strip().partition(" x")
            sizes += [int(size)] * int(count or 1)
        assert sizes == [512 * d for d in desktops]
    assert "capacity  16 users" in text
    assert re.search(r"^ +5 .* u3 2048 > 1024, 0 > 0$", text, re.M)


def test_unequal_servers_and_what_does_not_divide(plan, carrel):
    answer = plan("--servers", "5000,3000", "--max", "4GiB", "--min", "1GiB")
    assert [t["slots"] for t in answer["tiers"]] == [1, 3, 6]
    assert [t["waste_mib"] for t in answer["tiers"]] == [8000 - 4096, 8000 - 6144, 8000 - 6144]
    assert answer["waste_mib"] == 8000 - 6144 and answer["capacity"] == 6
    assert [s["waste_mib"] for s in answer["servers"]] == [5000 - 4096, 3000 - 2048]
    for row in answer["rows"]:
        assert row["free_mib"] == 8000 - sum(row["desktops_mib"])
    assert answer["rows"][-1]["desktops_mib"] == [1024] * 6
    assert "wasted    1856 MiB" in carrel("plan", "--servers", "5000,3000", "--max", "4096",
                                          "--min", "1024").stdout


def test_reserve_and_overhead_only_when_asked_for(plan):
    assert plan(*TWO)["capacity"] == 16
    assert plan(*TWO, "--host-reserve", "1024")["capacity"] == 12
    assert plan(*TWO, "--overhead", "128")["capacity"] == 12
    answer = plan(*TWO, "--host-reserve", "1024", "--overhead", "128")
    assert answer["capacity"] == 8 and answer["waste_mib"] == 2 * (3072 - 4 * 640)
    assert answer["rows"][-1]["free_mib"] == answer["waste_mib"]


def test_standby_shrinks_earlier(plan):
    rows, plain = plan(*TWO, "--standby", "2")["rows"], plan(*TWO)["rows"]
    assert len(rows) == 16
    for users in range(1, 14):
        assert rows[users - 1]["tier"] == plain[users + 1]["tier"]


def test_users_limit_the_rows(plan):
    assert len(plan(*TWO, "--users", "5")["rows"]) == 5
    assert len(plan(*TWO, "--users", "500")["rows"]) == 16


def test_a_server_fails(plan, carrel):
    answer = plan(*TWO, "--fail", "0")
    for row in answer["rows"]:
        users, fail = row["users"], row["fail"]
        assert fail["users"] == min(users, 8) and len(fail["refused"]) == max(0, users - 8)
        assert len(fail["desktops_mib"]) == fail["users"]
        assert fail["free_mib"] == 4096 - sum(fail["desktops_mib"])
        assert fail["handoffs"] == len(fail["moved"])
        assert sum(m["break_before_make"] for m in fail["moved"]) <= 1
        assert all(m["from"] == m["to"] == 1 for m in fail["moved"])
        assert all(a["server"] == 1 for a in fail["again"])
        assert not {a["user"] for a in fail["again"]} & set(fail["refused"])
    named = plan("--servers", "hall1=4096,hall2=4096", "--max", "4096", "--min", "512", "--fail", "hall1")
    assert [r["fail"] for r in named["rows"]] == [r["fail"] for r in answer["rows"]]
    text = carrel("plan", "--servers", "hall1=4096,hall2=4096", "--max", "4096", "--min", "512",
                  "--fail", "hall1").stdout
    assert "If server 0 (hall1) of 4096 MiB is lost" in text
    assert re.search(r"^ +9 +8 +1 .*refused: u5$", text, re.M)
    assert re.search(r"^ +3 .*  2048 > 1024: u2 \(stops first\), u1; again 1024: u3$", text, re.M)
    assert re.search(r"^ +12 +8 +4 .*; again 512: u2; refused: u3, u4, u11, u12$", text, re.M)
    assert re.search(r"^ +14 +8 +6 .*; refused: u3, u4, u11-u14$", text, re.M)


@pytest.mark.parametrize("fail", [0, 1, 2])
def test_a_failure_is_what_the_simulation_says(plan, simulate, fail):
    site = ("--servers", "9000,4096,6000", "--max", "4096", "--min", "512")
    for row in plan(*site, "--fail", str(fail))["rows"]:
        trace = [f"+ u{n + 1}" for n in range(row["users"])] + [f"! {fail}"]
        event = simulate(trace, *site)[-1]
        after = row["fail"]
        assert sorted((d["size_mib"] for d in event["desktops"]), reverse=True) == after["desktops_mib"]
        assert [(s["handoff"], s["size_mib"]) for s in event["steps"]] == [
            (m["user"], m["size_mib"]) for m in after["moved"]]
        assert event["refused"] == after["refused"]
        assert event["again"] == [a["user"] for a in after["again"]]
        at = {d["user"]: (d["server"], d["size_mib"]) for d in event["desktops"]}
        assert all(at[a["user"]] == (a["server"], a["size_mib"]) for a in after["again"])


def test_seats(plan, carrel):
    seats = plan(*TWO, "--seats", "10")["seats"]
    assert seats["equal"] == [{"server_mib": 4096, "servers": 2, "min_mib": 512,
                               "one_lost": {"servers": 3, "min_mib": 512}}]
    assert seats["given"] == {"min_mib": 512, "one_lost": {"min_mib": 256}}
    seats = plan("--servers", "4096,8192", "--max", "4096", "--min", "512", "--seats", "6")["seats"]
    assert [(e["server_mib"], e["servers"], e["min_mib"]) for e in seats["equal"]] == [
        (8192, 1, 1024), (4096, 1, 512)]
    assert seats["given"] == {"min_mib": 2048, "one_lost": {"min_mib": 512}}
    assert plan("--servers", "300", "--max", "512", "--min", "512", "--seats", "2")["seats"]["equal"] == [
        {"server_mib": 300, "servers": None, "min_mib": None, "one_lost": {"servers": None, "min_mib": None}}]
    text = carrel("plan", *TWO, "--seats", "10").stdout
    assert "For 10 users" in text and "USERS  TIER" not in text
    assert "USERS  TIER" in carrel("plan", *TWO, "--seats", "10", "--users", "10").stdout


def test_no_server_holds_a_desktop(plan, carrel):
    answer = plan("--servers", "100,200", "--max", "512", "--min", "256")
    assert answer["capacity"] == 0 and answer["rows"] == []
    assert "no server holds even one" in carrel("plan", "--servers", "100", "--max", "512", "--min", "256").stdout


@pytest.mark.parametrize("args, says", [
    ((), "--servers is missing"),
    (("--servers", ""), "no server"),
    (("--servers", "4096,,4096"), "element 2 is empty"),
    (("--servers", "4096,-1"), "element 2"),
    (("--servers", "99999999999999999999"), "element 1"),
    (("--servers", "4096"), "--max is missing"),
    (("--servers", "4096", "--max", "4096"), "--min is missing"),
    (("--servers", "4096", "--max", "4096", "--min", "0"), "--min: 0"),
    (("--servers", "4096", "--max", "4096", "--min", "500"), "power of two"),
    ((*TWO, "--users", "0"), "--users"),
    ((*TWO, "--users", "-3"), "--users"),
    ((*TWO, "--seats", "many"), "--seats"),
    ((*TWO, "--fail", "2"), 'there is no server "2"'),
    ((*TWO, "--fail", "hall1"), 'there is no server "hall1"'),
    ((*TWO, "--chart", "plan.gif"), ".svg"),
    ((*TWO, "--trace", "x"), "--trace is no option of plan"),
    ((*TWO, "--live"), "exclude each other"),
    (("--servers", "1000000x4000000000", "--max", "1", "--min", "1"), "--users"),
])
def test_mistakes(carrel, args, says):
    done = carrel("plan", *args, status=2)
    assert done.stdout == "" and says in done.stderr


def test_options_of_other_commands(carrel):
    assert "Unknown option --seats" in carrel("status", "--seats", "3", status=2).stderr
    assert "--seats is no option of simulate" in carrel("simulate", *TWO, "--seats", "3", status=2).stderr


def test_the_help_has_each_option(carrel):
    for command in ("plan", "simulate"):
        text = carrel(command, "--help").stdout
        options = re.findall(r"--[a-z-]+", text)
        page = carrel("--help").stdout
        assert len(options) > 7 and "--servers" in options and command in page
        for option in set(options) - {"--config", "--json", "--live"}:
            # Known, so that only its value is missing.
            assert f"Missing argument for {option}" in carrel(command, option, status=2).stderr


def test_a_thousand_servers(plan, carrel):
    text = carrel("plan", "--servers", "1000x64GiB", "--max", "64GiB", "--min", "1GiB").stdout
    assert re.search(r"^64000 +6 +0 +1024 x64000$", text, re.M)
    answer = plan("--servers", "100000x64GiB", "--max", "64GiB", "--min", "1GiB", "--users", "3", "--fail", "99999")
    assert answer["capacity"] == 6400000 and len(answer["rows"]) == 3


def test_chart(carrel, tmp_path):
    for name in ("plan.svg", "plan.png"):
        carrel("plan", *TWO, "--fail", "0", "--chart", str(tmp_path / name))
    svg = xml.etree.ElementTree.parse(tmp_path / "plan.svg").getroot()
    assert svg.tag.endswith("}svg")
    image = pytest.importorskip("PIL.Image").open(tmp_path / "plan.png").convert("RGB")
    assert image.size == (1920, 1120)
    colours = {colour for _, colour in image.getcolors(1 << 24)}
    # white ground, the blue mean, the orange one of the failure, violet thresholds
    blue = any(b > 150 and r < 60 for r, g, b in colours)
    orange = any(r > 190 and g < 130 and b < 40 for r, g, b in colours)
    violet = any(b > 150 and 100 < r < 160 and g < 110 for r, g, b in colours)
    assert (255, 255, 255) in colours and blue and orange and violet
    assert "cannot write" in carrel("plan", *TWO, "--chart", str(tmp_path / "no" / "plan.svg"), status=1).stderr


def test_simulation_has_the_shape_that_is_written_down(simulate):
    events = simulate(["+ alice", "+ bob", "# a pause", "+ carl", "- alice", "! 0", "* 0"], *TWO)
    assert [e["event"] for e in events] == ["+ alice", "+ bob", "+ carl", "- alice", "! 0", "* 0"]
    assert [e["result"] for e in events] == ["admitted"] * 3 + ["left", "lost", "returned"]
    assert list(events[2]) == ["event", "result", "steps", "desktops", "free_mib"]
    assert events[2]["steps"] == [
        {"handoff": "alice", "from": 0, "to": 1, "size_mib": 2048, "break_before_make": False}]
    assert events[2]["desktops"] == [{"user": "alice", "server": 1, "size_mib": 2048},
                                     {"user": "bob", "server": 1, "size_mib": 2048},
                                     {"user": "carl", "server": 0, "size_mib": 2048}]
    assert events[2]["free_mib"] == [2048, 0]
    assert events[4]["free_mib"][0] == 0 and events[4]["again"] == ["carl"] and events[4]["refused"] == []
    assert events[5]["free_mib"][0] == 4096


def test_simulation_refuses_when_full(simulate, carrel):
    names = [f"+ u{n}" for n in range(17)]
    events = simulate(names, *TWO)
    assert [e["result"] for e in events] == ["admitted"] * 16 + ["refused"]
    assert events[16]["desktops"] == events[15]["desktops"] and events[16]["steps"] == []
    text = carrel("simulate", *TWO, "--trace", "-", stdin="\n".join(names)).stdout
    assert "+ u16: refused: 16 users are connected" in text


def test_names_are_data(simulate):
    name = '김"\\<b>\''
    event = simulate([f"+ {name}"], *TWO)[0]
    assert event["event"] == f"+ {name}" and event["desktops"][0]["user"] == name


def test_a_mistake_in_a_trace(carrel, tmp_path):
    trace = tmp_path / "trace"
    trace.write_text("+ alice\n\n# the next one is there already\n+ alice\n+ bob\n", encoding="utf-8")
    done = carrel("simulate", *TWO, "--trace", str(trace), "--json", status=2)
    assert len(done.stdout.splitlines()) == 1
    assert f"{trace}:4: alice is connected already" in done.stderr
    assert "standard input:1: " in carrel("simulate", *TWO, "--trace", "-", status=2, stdin="! 2\n").stderr
    assert "--trace is missing" in carrel("simulate", *TWO, status=2).stderr
    assert "cannot read" in carrel("simulate", *TWO, "--trace", str(tmp_path / "none"), status=1).stderr


def test_the_guide_shows_what_is_printed(top, program):
    guide = (top / "docs" / "sizing.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\n\$ (.*?)\n(.*?)```", guide, re.S)
    assert len(blocks) == 3
    for command, shown in blocks:
        command = command.replace("carrel ", program("carrel") + " ", 1)
        printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
        lines = [line for line in shown.splitlines() if line.strip() != "..."]
        assert [line for line in lines if line not in printed.splitlines()] == []


class Rules:
    """The tiers' rules once more, in a few plain lines: looks at everything, each time."""

    def __init__(self, servers, largest, smallest, standby):
        self.capacity, self.lost = servers, set()
        self.sizes = [largest]
        while self.sizes[-1] > smallest:
            self.sizes.append(self.sizes[-1] // 2)
        self.standby, self.users, self.steps = standby, {}, []  # user: (server, size), in order

    def free(self, server):
        if server in self.lost:
            return 0
        return self.capacity[server] - sum(size for at, size in self.users.values() if at == server)

    def open(self):
        return [s for s in range(len(self.capacity)) if s not in self.lost]

    def slots(self, size):
        return sum(self.capacity[s] // size for s in self.open())

    def free_slots(self, size):
        return sum(self.free(s) // size for s in self.open())

    def target(self, users):
        return next((m for m, size in enumerate(self.sizes) if users <= self.slots(size) - 1), len(self.sizes) - 1)

    def best(self, size):
        # Two servers with the same number of smallest desktops free are equally good.
        return min((self.free(s) // self.sizes[-1], s) for s in self.open() if self.free(s) >= size)[1]

    def last_larger(self, size):
        return next((u for u in reversed(self.users) if self.users[u][1] > size), None)

    def move(self, user, size, to, breaks):
        self.steps.append((user, self.users[user][0], to, size, breaks))
        self.users[user] = (to, size)

    def arrive(self, user):
        count, most = len(self.users) + 1, self.slots(self.sizes[-1])
        if count > most:
            return "refused"
        m = self.target(count + self.standby)
        while self.free_slots(self.sizes[m]) == 0:
            m += 1
        size = self.sizes[m]
        if count < most and self.free_slots(size) < 2:
            larger = self.last_larger(size)
            if larger:
                self.move(larger, size, self.best(size), False)
        self.users[user] = (self.best(size), size)
        return "admitted"

    def lose(self, server):
        homeless = [u for u, (at, _) in self.users.items() if at == server]
        self.users = {u: v for u, v in self.users.items() if v[0] != server}
        self.lost.add(server)
        while len(self.users) < self.slots(self.sizes[-1]):
            size = self.sizes[self.target(len(self.users) + self.standby)]
            larger = self.last_larger(size)
            if self.free_slots(size) or not larger:
                break
            self.move(larger, size, self.users[larger][0], True)
        for user in homeless:
            self.arrive(user)
        return "lost"

    def play(self, line):
        self.steps = []
        sign, name = line.split()
        if sign == "+":
            return self.arrive(name)
        if sign == "-":
            del self.users[name]
            return "left"
        if sign == "!":
            return self.lose(int(name))
        self.lost.remove(int(name))
        return "returned"


@pytest.mark.parametrize("seed", range(20))
def test_random_traces_follow_the_rules(simulate, seed):
    dice = random.Random(seed)
    smallest = dice.choice([1, 3, 512])
    largest = smallest << dice.randrange(5)
    servers = [dice.randrange(1, 20 * smallest) for _ in range(dice.randrange(1, 6))]
    rules, lines, expected = Rules(servers, largest, smallest, standby := dice.randrange(3)), [], []
    for _ in range(150):
        server, user = dice.randrange(len(servers)), f"u{dice.randrange(40)}"
        if dice.random() < 0.06:
            lines.append(f"{'*' if server in rules.lost else '!'} {server}")
        else:
            lines.append(f"{'-' if user in rules.users else '+'} {user}")
        result = rules.play(lines[-1])
        expected.append((result, rules.steps, list(rules.users.items()),
                         [rules.free(s) for s in range(len(servers))]))
    events = simulate(lines, "--servers", ",".join(map(str, servers)), "--max", str(largest),
                      "--min", str(smallest), "--standby", str(standby))
    for line, event, (result, steps, users, free) in zip(lines, events, expected, strict=True):
        assert (event["event"], event["result"]) == (line, result)
        assert [(s["handoff"], s["from"], s["to"], s["size_mib"], s["break_before_make"])
                for s in event["steps"]] == steps
        assert [(d["user"], (d["server"], d["size_mib"])) for d in event["desktops"]] == users
        assert event["free_mib"] == free


@pytest.fixture
def site(tmp_path):
    make_certificate(tmp_path)
    site = Site(tmp_path, tmp_path)
    yield site
    site.end()


def test_live_without_carreld(site):
    done = site.cli("plan", "--live", status=1)
    assert "carreld is not running" in done.stderr and done.stdout == ""


def test_live(site):
    site.start()
    assert "has no servers yet" in site.cli("plan", "--live", status=1).stderr
    site.add_server()
    answer = json.loads(site.cli("plan", "--live", "--json").stdout)
    assert [(s["name"], s["memory_mib"], s["state"]) for s in answer["servers"]] == [("one", 9000, "up")]
    status = json.loads(site.cli("status", "--json").stdout)
    assert answer["capacity"] == status["capacity_users"] > 0
    assert answer["rows"][0]["desktops_mib"] == [status["next"]["size_mib"]]
    assert answer["tiers"][0]["size_mib"] == 4096
    assert json.loads(site.cli("plan", "--live", "--min", "512", "--json").stdout)["capacity"] > answer["capacity"]
    assert "If server 0 (one)" in site.cli("plan", "--live", "--fail", "one").stdout
    site.cli("server", "drain", "one")
    drained = json.loads(site.cli("plan", "--live", "--json").stdout)
    assert drained["capacity"] == 0 and drained["servers"][0]["state"] == "draining"
    assert "is draining already" in site.cli("plan", "--live", "--fail", "one", status=2).stderr
