# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `lab`: one subcommand a row in COMMANDS."""

import argparse
import os
import socket
import sys
import threading
import time

from .errors import LabError
from .lab import DEFAULT_ROOT, Lab


def say(text):
    print(text, flush=True)


def open_lab(args):
    lab = Lab(args.name, args.directory)
    if not lab.state.exists():
        raise LabError(f"lab {args.name} is not up ({lab.directory}); remedy: tests/lab/lab up"
                       + ("" if args.name == "demo" else f" --name {args.name}"))
    return lab


def cmd_up(args):
    began = time.monotonic()

    def step(text):
        say(f"[{time.monotonic() - began:5.1f} s] {text}")

    lab = Lab(args.name, args.directory, servers=args.servers, say=step)
    lab.up()
    step(f"lab {lab.name} is up in {lab.directory}; next: tests/lab/lab pc pc1")


def cmd_down(args):
    if Lab(args.name, args.directory).down():
        say(f"lab {args.name} is down")
    else:
        say(f"lab {args.name} was not up")


def cmd_status(args):
    lab = open_lab(args)
    if not lab.state.same_boot():
        say("the machine was restarted since; remedy: tests/lab/lab down")
        return
    say(f"folder     {lab.directory}")
    say("namespaces " + " ".join(lab.state.names("netns")))
    seen = set()
    for process in reversed(lab.state.processes()):
        if process.name not in seen:
            seen.add(process.name)
            say(f"{process.name:<18} {process.pid:>8} {'runs' if process.alive() else 'ENDED'}")
    for pc in lab.pcs():
        to_pc, from_pc = lab.net.counters(pc.name)
        say(f"{pc.name}: {pc.mac} {pc.address() or '(no address)'}; {to_pc / 1e6:.1f} MB to it, "
            f"{from_pc / 1e6:.1f} MB from it; look: tests/lab/lab view {pc.name}")


def cmd_pc(args):
    lab = open_lab(args)
    pc = lab.pc(args.pc)
    if args.off:
        pc.power_cut()
        say(f"{pc.name} is off")
        return
    pc.power_on()
    say(f"{pc.name} is on; look: tests/lab/lab view {pc.name}, or tests/lab/lab shot {pc.name} "
        f"FILE.png")


def cmd_shot(args):
    say(open_lab(args).pc(args.pc).shot(args.file))


def cmd_text(args):
    say(open_lab(args).pc(args.pc).screen().text(languages="eng+kor"))


def cmd_type(args):
    open_lab(args).pc(args.pc).type(args.text.encode().decode("unicode_escape"))


def cmd_key(args):
    open_lab(args).pc(args.pc).key(*args.keys)


def cmd_exec(args):
    lab = open_lab(args)
    ns = lab.net.ns(args.part)
    os.execvp("ip", ["ip", "netns", "exec", ns, *args.command])


def relay(one, other):
    """Copies bytes until either side closes."""
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    for s in (one, other):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def cmd_view(args):
    """A PC's screen is a VNC server on a Unix socket; this leads a loopback port to it."""
    pc = open_lab(args).pc(args.pc)
    if not pc.running():
        raise LabError(f"{pc.name} is off; remedy: tests/lab/lab pc {pc.name}")
    with socket.create_server(("127.0.0.1", args.port)) as listener:
        port = listener.getsockname()[1]
        say(f"{pc.name}'s screen: vncviewer 127.0.0.1::{port}  (any VNC viewer; end with Ctrl-C)")
        while True:
            client, _ = listener.accept()
            screen = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            screen.connect(pc.vnc_path)
            for pair in ((client, screen), (screen, client)):
                threading.Thread(target=relay, args=pair, daemon=True).start()


PC = ("pc", {"help": "pc1 to pc99"})
# name: (function, help, [(argument, its options)])
COMMANDS = {
    "up": (cmd_up, "brings the lab up", [("--servers", {"type": int, "default": 1, "metavar": "N",
                                                        "help": "virtualization servers (1)"})]),
    "down": (cmd_down, "takes it down, also after a crash of `up`", []),
    "status": (cmd_status, "says what runs", []),
    "pc": (cmd_pc, "powers a PC on", [PC, ("--off", {"action": "store_true",
                                                     "help": "pulls its plug instead"})]),
    "shot": (cmd_shot, "saves a picture of a PC's screen", [PC, ("file", {"help": "a .png"})]),
    "text": (cmd_text, "reads a PC's screen by OCR", [PC]),
    "type": (cmd_type, "types on a PC's keyboard", [PC, ("text", {
        "help": "\\n is Enter, \\t Tab, \\b Backspace"})]),
    "key": (cmd_key, "presses keys", [PC, ("keys", {"nargs": "+", "help": "ret, ctrl-alt-t, ..."})]),
    "view": (cmd_view, "opens a loopback port to a PC's screen for a VNC viewer", [
        PC, ("--port", {"type": int, "default": 0, "help": "0 takes a free one"})]),
    "exec": (cmd_exec, "runs a command in a namespace", [
        ("part", {"help": "boot, lan, s1, ..."}),
        ("command", {"nargs": argparse.REMAINDER, "help": "command and its arguments"})]),
}


def parser():
    result = argparse.ArgumentParser(prog="lab", description="Carrel's virtual lab: boot server, "
                                     "virtualization servers and diskless PCs on one machine.")
    commands = result.add_subparsers(dest="command_name", required=True, metavar="COMMAND")
    for name, (function, text, arguments) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--name", default="demo", help="the lab's name (demo)")
        sub.add_argument("--directory", help=f"its folder ({DEFAULT_ROOT}/NAME)")
        for argument, options in arguments:
            sub.add_argument(argument, **options)
        sub.set_defaults(function=function)
    return result


def main(argv=None):
    args = parser().parse_args(argv)
    try:
        args.function(args)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
