# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtualization server beside the boot server: namespaces of this machine, made by tests/lab/lab-server,
with an ssh server in them, so that prepare-server comes to it as it comes to a real one. Its desktops are
this machine's processes: an emulator inside the emulated boot server would take hours."""

import os
import subprocess

from carrel_lab.errors import LabError

from bootserver_vm import SERVER1, TOP

SSHD = """Port 22
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
# it lies below /var/tmp, where everybody may write
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PidFile none
"""


class VirtServer:
    """`server1`; what it writes lies in a folder of the boot server's."""

    name, address = "server1", SERVER1

    def __init__(self, machine):
        self.machine = machine
        self.folder = machine.path(self.name)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def _lab_server(self, command, *words):
        done = subprocess.run([os.path.join(TOP, "tests/lab/lab-server"), command, self.folder, *words],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"lab-server {command}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def execute(self, *words):
        return self._lab_server("exec", *words)

    def power_on(self, admins_key):
        """A host that root of the boot server reaches by his key, and nothing else yet. The line for
        his known_hosts."""
        os.makedirs(self.folder)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f",
                        self.path("host_key")], check=True)
        for name, text in (("authorized_keys", admins_key),
                           ("sshd_config", SSHD.format(address=self.address, folder=self.folder)),
                           # no password: the key alone, whatever this machine's root has
                           ("shadow", "root:*:20000:0:99999:7:::\n")):
            with open(self.path(name), "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(self.path(name), 0o600)
        self._lab_server("bare", self.machine.wires.prefix + self.name, self.name,
                         self.machine.path("volumes"))
        self.execute("sh", "-c", f"mount --bind {self.path('shadow')} /etc/shadow && mkdir -p /run/sshd && "
                     f"exec /usr/sbin/sshd -f {self.path('sshd_config')} -E {self.path('log', 'sshd.log')}")
        with open(self.path("host_key.pub"), encoding="utf-8") as f:
            return f"{self.name},{self.address} {f.read().strip()}"

    def start_libvirt(self):
        """What systemd would do on a real one."""
        self._lab_server("daemons")

    def off(self):
        if os.path.isdir(self.folder):
            self._lab_server("down")
