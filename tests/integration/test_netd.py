# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel-netd with a real nftables, in namespaces, with real TCP connections through it.

    pc1 10.77.0.101 --+
                      +-- br-pc 10.77.0.1 [boot] 10.78.0.1 eth0 -- [servers] 10.78.0.11, .12
    pc2 10.77.0.102 --+
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest

from helperclient import Client, Process
from netns import Lab, run

pytestmark = pytest.mark.root

PC1, PC2, BOOT = "10.77.0.101", "10.77.0.102", "10.77.0.1"
SERVER1, SERVER2 = "10.78.0.11", "10.78.0.12"

# All of [network] but this is found out in the boot server's namespace.
CONFIG = """
[network]
client_interface = br-pc
[broker]
user = nobody
[paths]
run = {run}
"""


def bridge_filter(lab, value):
    """Shows bridged frames to nftables (where the kernel has br_netfilter), or does not."""
    path = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    lab.exec("boot", "sh", "-c", f"[ ! -e {path} ] || echo {value} > {path}")


@pytest.fixture(scope="module")
def lab(need):
    need("ip", "nft")
    lab = Lab()
    try:
        for name in ("boot", "pc1", "pc2", "servers"):
            lab.add(name)
        lab.ip("boot", "link", "add", "br-pc", "type", "bridge")
        for pc, address in (("pc1", PC1), ("pc2", PC2)):
            lab.cable(pc, "eth0", "boot", f"to-{pc}")
            lab.ip("boot", "link", "set", f"to-{pc}", "master", "br-pc")
            lab.ip(pc, "addr", "add", f"{address}/24", "dev", "eth0")
            lab.ip(pc, "route", "add", "default", "via", BOOT)
        bridge_filter(lab, 0)
        lab.ip("boot", "link", "set", "br-pc", "up")
        lab.ip("boot", "addr", "add", f"{BOOT}/24", "dev", "br-pc")
        lab.cable("boot", "eth0", "servers", "eth0")
        lab.ip("boot", "addr", "add", "10.78.0.1/24", "dev", "eth0")
        for address in (SERVER1, SERVER2):
            lab.ip("servers", "addr", "add", f"{address}/24", "dev", "eth0")
        yield lab
    finally:
        lab.close()


@pytest.fixture(scope="module")
def netd(lab, program):
    # Not below pytest's folder: the broker's user has to reach the socket in it.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="carrel-netd-"))
    folder.chmod(0o755)
    config = folder / "carrel.conf"
    config.write_text(CONFIG.format(run=folder), encoding="utf-8")
    process = Process(
        lab.within("boot", program("carrel-netd"), "--config", str(config)), folder / "log"
    )
    process.folder = folder
    process.start()
    yield process
    assert process.stop() == 0
    shutil.rmtree(folder)


@pytest.fixture
def client(lab, netd):
    """A connection with the table set up and no forward in it."""
    client = Client(netd.folder / "netd.sock")
    client.ok("setup")
    lab.exec("boot", "nft", "flush map inet carrel forwards; flush set inet carrel open")
    yield client
    client.close()


class Server:
    """A listening socket on a server; its first bytes to a client are its own name."""

    def __init__(self, lab, address, port):
        self.sock = lab.socket("servers")
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.settimeout(10)
        self.sock.bind((address, port))
        self.sock.listen(8)

    def accept(self):
        peer, address = self.sock.accept()
        peer.settimeout(10)
        return peer, address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def connect(lab, pc, address, port, timeout=10):
    sock = lab.socket(pc)
    sock.settimeout(timeout)
    try:
        sock.connect((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def add(client, pc, port, server, server_port):
    client.ok("forward-add", client=pc, port=port, server=server, server_port=server_port)


def talk(a, b):
    """One word in each direction."""
    a.sendall(b"ping")
    assert b.recv(4) == b"ping"
    b.sendall(b"pong")
    assert a.recv(4) == b"pong"


def is_cut(sock):
    """A word sent is answered by a reset."""
    try:
        sock.sendall(b"x")
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_forward_leads_to_the_server(lab, client):
    with Server(lab, SERVER1, 5901) as server:
        add(client, PC1, 5900, SERVER1, 5901)
        with connect(lab, "pc1", BOOT, 5900) as pc:
            peer, address = server.accept()
            with peer:
                talk(pc, peer)
                # masqueraded: servers need no route to the PCs
                assert address[0] == "10.78.0.1"


def test_only_this_client_can_use_it(lab, client):
    with Server(lab, SERVER1, 5901):
        add(client, PC1, 5900, SERVER1, 5901)
        with pytest.raises(ConnectionRefusedError):
            connect(lab, "pc2", BOOT, 5900)


def test_other_ports_are_refused(lab, client):
    with Server(lab, SERVER1, 5901):
        add(client, PC1, 5900, SERVER1, 5901)
        with pytest.raises(ConnectionRefusedError):
            connect(lab, "pc1", BOOT, 5901)


def test_no_way_around_the_forward(lab, client):
    """A PC that routes straight at the server, or at another of its ports, gets no answer."""
    with Server(lab, SERVER1, 5901), Server(lab, SERVER1, 5902):
        add(client, PC1, 5900, SERVER1, 5901)
        for port in (5901, 5902):
            with pytest.raises(OSError):
                connect(lab, "pc1", SERVER1, port, timeout=1.5)
        counters = lab.exec("boot", "nft", "list", "chain", "inet", "carrel", "from_client")
        dropped = [line for line in counters.splitlines() if line.strip().endswith("drop")]
        assert dropped and "packets 0 " not in dropped[0]


def test_servers_cannot_reach_the_pcs(lab, client):
    lab.ip("servers", "route", "replace", "10.77.0.0/24", "via", "10.78.0.1")
    listener = lab.socket("pc1")
    with listener:
        listener.bind((PC1, 7000))
        listener.listen(1)
        with pytest.raises(OSError):
            connect(lab, "servers", PC1, 7000, timeout=1.5)
    lab.ip("servers", "route", "del", "10.77.0.0/24")


def test_deletion_cuts_a_running_connection(lab, client):
    with Server(lab, SERVER1, 5901) as server:
        add(client, PC1, 5900, SERVER1, 5901)
        with connect(lab, "pc1", BOOT, 5900) as pc:
            peer, _ = server.accept()
            with peer:
                talk(pc, peer)
                client.ok("forward-del", client=PC1, port=5900)
                assert is_cut(pc)
                assert is_cut(peer)
        with pytest.raises(ConnectionRefusedError):
            connect(lab, "pc1", BOOT, 5900)
        # a second deletion is fine
        client.ok("forward-del", client=PC1, port=5900)


def test_the_server_side_is_cut_too(lab, client):
    with Server(lab, SERVER1, 5901) as server:
        add(client, PC1, 5900, SERVER1, 5901)
        with connect(lab, "pc1", BOOT, 5900) as pc:
            peer, _ = server.accept()
            with peer:
                talk(pc, peer)
                client.ok("forward-del", client=PC1, port=5900)
                assert is_cut(peer)


def test_two_clients_one_port(lab, client):
    with Server(lab, SERVER1, 5901) as one, Server(lab, SERVER2, 5933) as two:
        add(client, PC1, 5900, SERVER1, 5901)
        add(client, PC2, 5900, SERVER2, 5933)
        with connect(lab, "pc1", BOOT, 5900) as pc1, connect(lab, "pc2", BOOT, 5900) as pc2:
            peer1, peer2 = one.accept()[0], two.accept()[0]
            with peer1, peer2:
                talk(pc1, peer1)
                talk(pc2, peer2)
                client.ok("forward-del", client=PC1, port=5900)
                talk(pc2, peer2)
                assert is_cut(pc1)


def test_replacing_leads_elsewhere_and_cuts_the_old(lab, client):
    with Server(lab, SERVER1, 5901) as one, Server(lab, SERVER2, 5901) as two:
        add(client, PC1, 5900, SERVER1, 5901)
        with connect(lab, "pc1", BOOT, 5900) as before:
            peer, _ = one.accept()
            with peer:
                talk(before, peer)
                add(client, PC1, 5900, SERVER2, 5901)
                with connect(lab, "pc1", BOOT, 5900) as after:
                    other, _ = two.accept()
                    with other:
                        talk(after, other)
                assert is_cut(before)
        assert len(client.ok("forward-list")["forwards"]) == 1


def test_adding_the_same_again_disturbs_nothing(lab, client):
    with Server(lab, SERVER1, 5901) as server:
        add(client, PC1, 5900, SERVER1, 5901)
        with connect(lab, "pc1", BOOT, 5900) as pc:
            peer, _ = server.accept()
            with peer:
                add(client, PC1, 5900, SERVER1, 5901)
                client.ok("setup")
                talk(pc, peer)


def test_restart_keeps_forwards_and_connections(lab, netd, client):
    with Server(lab, SERVER1, 5901) as server:
        add(client, PC1, 5900, SERVER1, 5901)
        with connect(lab, "pc1", BOOT, 5900) as pc:
            peer, _ = server.accept()
            with peer:
                netd.kill()
                talk(pc, peer)
                netd.start()
                again = Client(netd.folder / "netd.sock")
                assert again.ok("forward-list")["forwards"] == [
                    {"client": PC1, "port": 5900, "server": SERVER1, "server_port": 5901}
                ]
                again.ok("setup")
                talk(pc, peer)
                again.ok("forward-del", client=PC1, port=5900)
                assert is_cut(pc)
                again.close()


def test_several_clients_and_pages(netd, client):
    """More forwards than one packet holds are listed in pages; any client sees the same."""
    for host in range(2, 80):
        for port in range(5900, 5908):
            add(client, f"10.77.0.{host}", port, SERVER1, 6899)
    other = Client(netd.folder / "netd.sock")
    first = other.ok("forward-list")
    second = other.ok("forward-list", offset=len(first["forwards"]))
    assert first["total"] == 78 * 8
    everything = first["forwards"] + second["forwards"]
    assert len({(f["client"], f["port"]) for f in everything}) == 78 * 8
    other.close()


FORWARD = {"client": PC1, "port": 5900, "server": SERVER1, "server_port": 5901}


@pytest.mark.parametrize(
    "change",
    [
        {"client": BOOT},
        {"client": "10.77.0.0"},
        {"client": "10.77.0.255"},
        {"client": "10.77.1.5"},
        {"client": "127.0.0.1"},
        {"port": 5899},
        {"port": 5908},
        {"port": 22},
        {"server": "10.77.0.102"},
        {"server": "10.79.0.1"},
        {"server": "127.0.0.1"},
        {"server_port": 22},
        {"server_port": 5899},
        {"server_port": 6900},
    ],
)
def test_what_the_policy_forbids(client, change):
    assert client.refused("forward-add", **{**FORWARD, **change}) == "not-allowed"
    assert client.ok("forward-list")["forwards"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"client": "10.77.0.101; flush ruleset"},
        {"client": "::1"},
        {"client": 7},
        {"port": "5900"},
        {"port": 70000},
        {"port": -1},
        {"server_port": 0},
        {"extra": 1},
    ],
)
def test_bad_requests(client, change):
    assert client.refused("forward-add", **{**FORWARD, **change}) == "bad-request"
    assert client.refused("run", command="id") == "bad-request"
    assert client.raw(b"[1]")["code"] == "bad-request"
    assert client.raw(b"\xff{")["code"] == "bad-request"
    assert client.ok("forward-list")["forwards"] == []


def test_strangers_are_turned_away(netd, client):
    """The broker's user is served (the socket's group lets it in), another user is not."""
    assert client.ok("forward-list")
    path = netd.folder / "netd.sock"
    code = (
        "import os,socket,sys\n"
        "os.setgid(int(sys.argv[3])); os.setgroups([]); os.setuid(int(sys.argv[2]))\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(10)\n"
        "s.connect(sys.argv[1])\n"
        "try:\n"
        "    s.send(b'{\"id\":1,\"op\":\"forward-list\"}')\n"
        "    print(s.recv(65536).decode())\n"
        "except (BrokenPipeError, ConnectionResetError):\n"
        "    print('')\n"
    )
    mode = os.stat(path).st_mode & 0o777
    group = os.stat(path).st_gid
    assert mode == 0o660
    nobody = int(run("id", "-u", "nobody"))
    served = run("python3", "-c", code, str(path), str(nobody), str(group))
    assert json.loads(served)["ok"] is True
    # in the group, so that the file lets it in, but not the broker's user
    assert run("python3", "-c", code, str(path), str(nobody - 1), str(group)).strip() == ""


def test_capabilities(netd, client):
    assert client.ok("forward-list")
    status = {}
    with open(f"/proc/{netd.pid()}/status", encoding="ascii") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            status[key] = value.strip()
    net_admin = 1 << 12
    assert int(status["CapEff"], 16) == net_admin
    assert int(status["CapPrm"], 16) == net_admin
    assert int(status["CapBnd"], 16) == net_admin
    assert int(status["CapInh"], 16) == 0
    assert int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_as_its_unit_starts_it(lab, netd, client, program, need):
    """A user of its own with CAP_NET_ADMIN, and the socket handed over: all of it works."""
    need("systemd-socket-activate", "setpriv")
    path = netd.folder / "handed.sock"
    argv = lab.within(
        "boot", "systemd-socket-activate", "--seqpacket", "-l", str(path),
        "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
        "--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin",
        "--bounding-set=-all,+net_admin", "--no-new-privs",
        program("carrel-netd"), "--config", str(netd.folder / "carrel.conf"),
    )
    forwarding = "net.ipv4.conf.br-pc.forwarding"
    lab.exec("boot", "sysctl", "-qw", f"{forwarding}=0")
    lab.exec("boot", "nft", "delete", "table", "inet", "carrel")
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
        assert b"Listening" in process.stderr.readline()
        handed = Client(path)
        handed.ok("setup")
        add(handed, PC1, 5900, SERVER1, 5901)
        handed.close()
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0
    assert lab.exec("boot", "sysctl", "-n", forwarding).strip() == "1"
    # the other instance sees the same table
    assert len(client.ok("forward-list")["forwards"]) == 1


def test_a_network_that_comes_later(lab, netd, program):
    """It starts, forwards nothing, and has what it needs at the next set-up."""
    folder = netd.folder / "later"
    folder.mkdir()
    config = folder / "carrel.conf"
    config.write_text(CONFIG.replace("br-pc", "br-later").format(run=folder), encoding="utf-8")
    later = Process(lab.within("boot", program("carrel-netd"), "--config", str(config)), folder / "log")
    later.start()
    try:
        early = Client(folder / "netd.sock")
        assert early.refused("setup") == "bad-request"
        assert early.refused("forward-add", client=PC1, port=5900, server=SERVER1, server_port=5901) == "not-allowed"
        config.write_text(CONFIG.format(run=folder), encoding="utf-8")
        early.ok("setup")
        add(early, PC1, 5900, SERVER1, 5901)
        early.close()
    finally:
        assert later.stop() == 0


def test_without_the_capability_it_says_so(netd, program):
    config = netd.folder / "other.conf"
    run_folder = netd.folder / "other"
    run_folder.mkdir()
    networks = "br-pc\nclient_address = 10.77.0.1/24\nserver_interface = eth0\nserver_network = 10.78.0.0/24"
    config.write_text(CONFIG.replace("br-pc", networks).format(run=run_folder), encoding="utf-8")
    done = subprocess.run(
        ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", program("carrel-netd"),
         "--config", str(config)],
        capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and str(run_folder) in done.stderr
    run_folder.chmod(0o777)
    done = subprocess.run(
        ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", program("carrel-netd"),
         "--config", str(config)],
        capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and "CAP_NET_ADMIN is missing" in done.stderr


def test_setup_touches_only_our_interfaces(lab, client):
    """Rules of others stay, and no interface but ours begins to forward."""
    lab.exec("boot", "nft", "add table inet other")
    lab.exec("boot", "nft", "add set inet other s { type ipv4_addr ; }")
    lab.exec("boot", "ip", "link", "add", "third", "type", "bridge")
    client.ok("setup")
    assert "set s" in lab.exec("boot", "nft", "list", "table", "inet", "other")
    forwarding = "net.ipv4.conf.{}.forwarding"
    assert lab.exec("boot", "sysctl", "-n", forwarding.format("third")).strip() == "0"
    assert lab.exec("boot", "sysctl", "-n", forwarding.format("br-pc")).strip() == "1"
    assert lab.exec("boot", "sysctl", "-n", forwarding.format("eth0")).strip() == "1"


def test_setup_drops_what_the_new_configuration_forbids(netd, client):
    add(client, PC1, 5900, SERVER1, 5901)
    add(client, PC1, 5907, SERVER1, 5901)
    config = netd.folder / "carrel.conf"
    before = config.read_text(encoding="utf-8")
    try:
        config.write_text(before.replace("[broker]", "forward_port = 5901\n[broker]"))
        client.ok("setup")
        assert [f["port"] for f in client.ok("forward-list")["forwards"]] == [5907]
        config.write_text(before + "[nonsense]\n")
        assert client.refused("setup") == "bad-request"
        config.write_text(before.replace("br-pc", "br-none"))
        assert client.refused("setup") == "bad-request"
        config.write_text(before.replace("br-pc", "br-none\nclient_address = 10.77.0.1/24\n"
                                         "server_interface = eth0"))
        assert client.refused("setup") == "nft"
    finally:
        config.write_text(before)
        client.ok("setup")


@pytest.mark.parametrize("value", [0, 1])
def test_bridged_frames(lab, client, value):
    """PCs reach each other over the bridge, also where bridged frames are shown to nftables, and
    forwards work and end there too."""
    bridge_filter(lab, value)
    try:
        with lab.socket("pc1") as listener:
            listener.bind((PC1, 7001 + value))
            listener.listen(1)
            connect(lab, "pc2", PC1, 7001 + value).close()
        with Server(lab, SERVER1, 5901) as server:
            add(client, PC1, 5900, SERVER1, 5901)
            with connect(lab, "pc1", BOOT, 5900) as pc:
                peer, _ = server.accept()
                with peer:
                    talk(pc, peer)
                    client.ok("forward-del", client=PC1, port=5900)
                    assert is_cut(peer)
    finally:
        bridge_filter(lab, 0)
