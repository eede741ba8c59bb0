# SPDX-License-Identifier: GPL-2.0-or-later
"""One bit is flipped in 1,000 places of what a PC fetches, and of what it is published from. Who
verifies it in the field refuses it here, and says what was wrong:

- the root image: the init's own fetch and sum, over HTTP from nginx as carrel-bootconf configures it; and
  the blocks' hashes alone, by the init's own mount in a virtual PC with the image's kernel and its dm-verity;
- what UEFI PCs start: sbverify in the firmware's place, which test_flipped_boots.py has itself;
- drivers and firmware: the init's own fetch of pieces, and their sums in the root image;
- the published image: carrel image verify.

CARREL_FLIPS_SEED draws other places."""
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "boot"))
import authenticode  # noqa: E402
import bootsite  # noqa: E402
import clientimage  # noqa: E402
import driverpack  # noqa: E402
import flips  # noqa: E402
import netlab  # noqa: E402
import pcsteps  # noqa: E402
from bootroom import Room  # noqa: E402

pytestmark = [pytest.mark.root, pytest.mark.skipif(netlab.lacks() is not None, reason=str(netlab.lacks()))]

EFI, ROOT_IMAGE, PACK = 575, 200, 100
STORE = {"manifest.json": 25, "manifest.sig": 25, "vmlinuz": 25, "initrd": 25, "drivers.pack": 25}
assert EFI + ROOT_IMAGE + PACK + sum(STORE.values()) == 1000
VM_S = 400  # a virtual PC on a busy machine


class Published(bootsite.Site):
    """A boot server's folders with the image of the PCs, signed for UEFI too."""

    def __init__(self, folder):
        super().__init__(folder)
        self.run()
        with open(self.stored("manifest.json"), encoding="utf-8") as f:
            self.manifest = json.load(f)

    def publish(self):
        clientimage.build(self.path("images"), self.path("pki"), driverpack.FILES)

    def stored(self, name):
        return self.path("images/client/current", name)

    def efi(self):
        return os.path.realpath(self.path("state/boot/current/tftp/carrel.efi"))

    def served(self, end):
        """What is served; the stored one, of which it is a hard link, is left alone."""
        path = pcsteps.served(self, end)
        if os.stat(path).st_nlink > 1:
            shutil.copy(path, path + ".copy")
            os.rename(path + ".copy", path)
        return path

    def cmdline(self):
        (line,) = {line.split(" ", 3)[3] for line in self.menu().splitlines()
                   if line.startswith("  APPEND carrel.")}
        return line

    def root_places(self):
        """Also in the superblock, in the last block, and in each level of the hash tree."""
        tree = flips.Tree(self.manifest["root"]["data_blocks"])
        assert tree.end * flips.BLOCK == self.manifest["files"]["root"]["size"]
        data = tree.data_blocks * flips.BLOCK
        parts = [(10, [(0, 96)]), (10, [(data - flips.BLOCK, data)])]
        parts += [(20, [(first * flips.BLOCK, end * flips.BLOCK)]) for _, first, end in tree.levels]
        places = flips.draw("root image", ROOT_IMAGE, parts + [(0, [(0, data)])])
        return [(offset, bit, tree.block_below(offset)) for offset, bit in places]


@pytest.fixture(scope="module")
def site():
    folder = tempfile.mkdtemp(prefix="carrel-flips-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    print("seed: CARREL_FLIPS_SEED=%d" % flips.SEED)
    yield Published(folder)
    shutil.rmtree(folder)


def sbverify(site):
    done = subprocess.run(["sbverify", "--cert", site.path("pki/secure-boot.crt"), site.efi()],
                          capture_output=True, text=True, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def parts_of(site):
    """The EFI program as the format's description divides it; also that we read it as its signer did."""
    with open(site.efi(), "rb") as f:
        program = authenticode.Program(f.read())
    first, end = program.signature()
    assert program.data[first:end].count(program.digest()) == 1
    return program


def test_what_uefi_pcs_start(site):
    program = parts_of(site)
    names = list(dict.fromkeys(name for name, *_ in program.parts if name not in program.unhashed))
    assert set(names) >= {"headers", ".text", ".cmdline", ".initrd", ".linux", "certificate table"}
    shares = [(60 if name == "certificate table" else 12, program.named(name)) for name in names]
    words = collections.Counter()
    for offset, bit in flips.draw("carrel.efi", EFI, shares):
        with flips.flipped(site.efi(), offset, bit):
            good, said = sbverify(site)
        # sbverify itself falls over some tables; what firmware says is in test_flipped_boots.py
        assert not good and (said or program.part(offset) == "certificate table"), (offset, bit)
        words[program.part(offset)] += 1
    print("refused:", dict(words))
    assert sbverify(site)[0] and set(words) == set(names)


def test_what_the_signature_of_an_efi_program_leaves_out(site):
    """All bits of the two fields that the format leaves out. The sum of the file is looked at by nobody.
    The other says where the signature lies: with most changes there is none. Whichever way, what is run
    is what was signed."""
    program, taken = parts_of(site), collections.Counter()
    for name in program.unhashed:
        ((first, end),) = program.named(name)
        for offset in range(first, end):
            for bit in range(8):
                with flips.flipped(site.efi(), offset, bit):
                    good, _ = sbverify(site)
                    with open(site.efi(), "rb") as f:
                        assert program.digest(f.read()) == program.digest()
                taken[name] += good
    print("taken:", dict(taken))
    assert taken["checksum"] == 32 and taken["entry of the certificate table"] < 64


@pytest.fixture
def room(site):
    made = Room(site)
    try:
        made.address()
        made.serve("nginx")
        yield made
    finally:
        made.clear()


def compile_init(top, build_dir, out, *sources, static=False, libraries=()):
    """A program of the tests with objects of the init."""
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-I", str(top), "-o", out,
                    *(["-static"] if static else []), *(str(top / s) for s in sources),
                    str(build_dir / "libclient.a"), *libraries], check=True)
    return out


def replay(site, root):
    """In its place another version of the same length, whose own manifest would call it good: the same
    files, with another salt for the hashes."""
    data = site.manifest["root"]["data_blocks"] * flips.BLOCK
    before = os.path.getsize(root)
    subprocess.run(["/usr/sbin/veritysetup", "format", "--no-superblock", "--hash=sha256", "--data-block-size=4096",
                    "--hash-block-size=4096", "--data-blocks=%d" % (data // flips.BLOCK), "--hash-offset=%d" % data,
                    "--salt=" + "5a" * 32, root, root], check=True, capture_output=True)
    assert os.path.getsize(root) == before


def test_root_image_by_its_sum(site, room, top, build_dir):
    program = compile_init(top, build_dir, site.path("checkroot"), "tests/integration/boot/checkroot.c",
                           "client-initrd/fetch.c")
    root, fetched = site.served(".root"), tempfile.mktemp(prefix="carrel-flips-", dir="/dev/shm")
    with subprocess.Popen(room.lab.within("pc", program, fetched, site.cmdline()), text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as init:
        def check():
            init.stdin.write("\n")
            init.stdin.flush()
            return init.stdout.readline().strip()

        try:
            assert check() == "-"
            for offset, bit, _ in site.root_places():
                with flips.flipped(root, offset, bit):
                    said = check()
                assert said.startswith("CARREL-B05 sha256 ") and "by HTTP, published is" in said, (offset, bit)
            assert check() == "-"
            replay(site, root)
            assert check().startswith("CARREL-B05 sha256 ")
        finally:
            init.stdin.close()
            init.wait(20)
            os.unlink(fetched)


def test_drivers_and_firmware(site, room, top, build_dir):
    program = compile_init(top, build_dir, site.path("checkdrivers"), "tests/integration/boot/checkdrivers.c",
                           "client-initrd/drivers.c", libraries=["-lzstd"])
    with open(site.path("index"), "w", encoding="utf-8") as f:
        f.write(driverpack.index_text(site))
    pieces = {(at, at + packed): path for path, (at, packed, _, _) in driverpack.index(site).items()}
    firmware = [span for span, path in pieces.items() if path.startswith("firmware/")]
    assert firmware and len(firmware) < len(pieces) and sum(end - at for at, end in pieces) == os.path.getsize(
        site.stored("drivers.pack"))
    pack, places = site.served(".drivers"), flips.draw("drivers.pack", PACK, [(30, firmware), (0, list(pieces))])
    with subprocess.Popen(room.lab.within("pc", program, site.path("index"), site.cmdline()), text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as init:
        def check(path):
            init.stdin.write(path + "\n")
            init.stdin.flush()
            return init.stdout.readline().strip()

        try:
            for offset, bit in places:
                ((_, path),) = [(span, p) for span, p in pieces.items() if span[0] <= offset < span[1]]
                with flips.flipped(pack, offset, bit):
                    said = check(path)
                name = path.removeprefix("firmware/") if path.startswith("firmware/") else os.path.basename(path)
                assert said == name + ": what the server has is not the published one", (offset, bit)
            assert {check(path) for path in pieces.values()} == {"-"}
        finally:
            init.stdin.close()
            init.wait(20)


def test_published_image(site):
    for name, count in STORE.items():
        path = site.stored(name)
        for offset, bit in flips.draw(name, count, [(0, [(0, os.path.getsize(path))])]):
            with flips.flipped(path, offset, bit):
                done = subprocess.run([clientimage.OUT + "/carrel", "-c", site.path("carrel.conf"), "image",
                                       "verify", "client"], capture_output=True, text=True, check=False)
            assert done.returncode == 1, (name, offset, bit)
            assert ("manifest" if name.startswith("manifest") else name) in done.stdout + done.stderr
    site.run("--check")


def pack(folder, archive):
    """The folder as an uncompressed archive for an initramfs."""
    names = subprocess.run(["find", ".", "-mindepth", "1"], cwd=folder, check=True, capture_output=True).stdout
    with open(archive, "ab") as out:
        out.write(bytes(-out.tell() % 512))  # archives behind each other begin at multiples of four
        out.flush()
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=folder, input=names,
                       stdout=out, check=True)


def test_root_image_by_its_blocks(site, top, build_dir):
    """Were the sum not there, or changed afterwards in memory: no bad block is ever read."""
    tree = site.path("verityflips")
    os.mkdir(tree)
    compile_init(top, build_dir, tree + "/init", "tests/integration/boot/verityflips.c", "client-initrd/root.c",
                 static=True)
    shutil.copy(site.stored("root.squashfs"), tree + "/root.img")
    places = site.root_places()
    with open(tree + "/places", "w", encoding="utf-8") as f:
        f.writelines("%d %d %d\n" % place for place in places)
    shutil.copy(site.stored("initrd"), site.path("initrd"))
    pack(tree, site.path("initrd"))
    done = subprocess.run(["qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-cpu", "qemu64", "-m", "512",
                           "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel",
                           site.stored("vmlinuz"), "-initrd", site.path("initrd"), "-append",
                           site.cmdline() + " console=ttyS0 loglevel=4"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=VM_S)
    lines = done.stdout.replace("\r", "").splitlines()
    whole = "%d of %d blocks" % ((site.manifest["root"]["data_blocks"],) * 2)
    assert [line.split(" ", 2)[2].strip() for line in lines if line.startswith("GOOD")] == [whole] * 2, lines
    said = {int(line.split()[1]): line.split(" ", 2)[2] for line in lines if line.startswith("PLACE")}
    print(collections.Counter(said.values()))
    assert sorted(said) == list(range(len(places)))
    wrong = [(places[n], words) for n, words in said.items() if words != "block Input/output error" and
             not words.startswith("mount CARREL-B07 ")]
    assert not wrong
    # the kernel names the block, but not each of many in its log
    assert [line for line in lines if "device-mapper: verity: " in line and " block " in line and
            line.endswith("is corrupted")]
