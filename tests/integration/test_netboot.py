# SPDX-License-Identifier: GPL-2.0-or-later
"""PCs without a disk boot from what carrel-bootconf renders, on good days and on bad ones. In the
image a stand-in takes the viewer's place: what is tested is the way to it."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "boot"))
import driverpack  # noqa: E402
import netlab  # noqa: E402
from pcsteps import root_file  # noqa: E402

pytestmark = pytest.mark.skipif(netlab.lacks() is not None, reason=str(netlab.lacks()))

BOOT_S = 180  # a virtual PC on a busy machine
# QEMU's Radeon has no clocks, by which its driver divides when it sets a mode: it sets none here
NO_MONITOR = ("carrel.server=", "video=VGA-1:d carrel.server=")


@pytest.fixture(scope="module")
def made():
    with netlab.built("bootx", driverpack.FILES) as lab:
        yield lab


@pytest.fixture
def lab(made):
    yield made
    made.clear()


def spoil(path, offset):
    """Flips one bit in a copy of its own: the published image is left alone."""
    shutil.copy(path, path + ".copy")
    with open(path + ".copy", "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 1]))
    os.rename(path, path + ".good")
    os.rename(path + ".copy", path)


def change(path, old, new):
    """Changes a rendered file as no administrator should."""
    text = open(path).read()
    assert old in text
    with open(path, "w") as f:
        f.write(text.replace(old, new))


def menu(lab):
    return lab.path("state/boot/current/tftp/pxelinux.cfg/default")


def stages(pc):
    return json.loads(pc.console.wait("STANDIN stages", 5).split("stages ", 1)[1])


@pytest.mark.parametrize("card", ["virtio-net-pci", "e1000"])
def test_power_on_to_viewer(lab, card):
    lab.serve()
    pc = lab.power_on(card)
    pc.console.wait("by NFS is the published one", BOOT_S)
    line = pc.console.wait("STANDIN uid", BOOT_S)
    print("power-on to viewer: %.1f s" % pc.seconds())
    assert line.split()[1:] == ["uid=900", "gid=900", "console=yes", "dri=yes", "fb=yes",
                                "input=yes", "ca=yes", "kmsg=no"]
    arguments = pc.console.wait("STANDIN argv", 5).split()[2:]
    assert arguments == ["--broker", "https://10.77.0.1:7443", "--ca", "/etc/carrel/ca.crt",
                         "--seat", pc.mac, "--boot-report", "/run/carrel/boot.json", "--console"]
    kept = stages(pc)
    names = [stage["stage"] for stage in kept]
    assert names == ["kernel", "modules", "network", "fetch", "verify", "root", "drivers", "viewer"]
    assert [s["ms"] for s in kept] == sorted(s["ms"] for s in kept)
    assert kept[3]["bytes"] == os.path.getsize(root_file(lab))
    assert "bytes" not in kept[6]  # nothing of the pack of drivers is for this PC
    # what could be sent (there was an address) was sent, each once
    sent = lab.reports()
    assert sorted(s["ms"] for s in sent) == [s["ms"] for s in kept[2:]]
    assert {s["mac"] for s in sent} == {pc.mac}


def test_http_when_nfs_is_dead(lab):
    lab.serve("nfs")
    pc = lab.power_on()
    pc.console.wait("NFS: Connection refused; trying HTTP", BOOT_S)
    pc.console.wait("by HTTP is the published one", BOOT_S)
    pc.console.wait("STANDIN end", BOOT_S)


def test_kernel_by_tftp_when_http_is_dead(lab):
    lab.serve("nginx")
    pc = lab.power_on()
    pc.console.wait("by NFS is the published one", BOOT_S)
    pc.console.wait("STANDIN end", BOOT_S)


def test_boot_that_fails_in_pxelinux_is_begun_again(lab):
    """Without a hand and soon: by itself PXELINUX would wait five minutes."""
    lab.serve()
    program = lab.path("state/boot/current/tftp/ldlinux.c32")
    os.rename(program, program + ".away")
    pc = lab.power_on()
    netlab.Follow(lab.dnsmasq_log()).wait_count("lpxelinux.0 to ", 2, BOOT_S)
    os.rename(program + ".away", program)
    pc.console.wait("by NFS is the published one", BOOT_S)


def test_corrupt_image_is_refused_and_tried_again(lab):
    lab.serve()
    path = root_file(lab)
    spoil(path, 4_000_000)
    pc = lab.power_on()
    pc.console.wait("CARREL-B05", BOOT_S)
    page = pc.console.wait("Reason:", 5)
    assert "sha256" in page
    assert pc.mac in pc.console.wait("This PC:", 5)
    assert lab.address in pc.console.wait("Boot server:", 5)
    pc.console.wait("Retry in", 5)
    os.rename(path + ".good", path)
    pc.press("spc")
    pc.console.wait("STANDIN end", BOOT_S)
    assert "failed" not in [s["stage"] for s in lab.reports()[-3:]]
    assert {"error": "CARREL-B05"}.items() <= [s for s in lab.reports()
                                               if s["stage"] == "failed"][0].items()


def test_wrong_size(lab):
    lab.serve()
    path = root_file(lab)
    os.unlink(path)
    with open(path, "wb") as f:
        f.write(b"short")
    pc = lab.power_on()
    pc.console.wait("CARREL-B05", BOOT_S)
    assert "NFS has 5 bytes" in pc.console.wait("Reason:", 5)


def test_missing_image(lab):
    lab.serve()
    path = root_file(lab)
    os.rename(path, lab.path("kept"))
    pc = lab.power_on()
    pc.console.wait("CARREL-B04", BOOT_S)
    reason = pc.console.wait("Reason:", 5)
    assert "NFS: open: No such file or directory" in reason and "HTTP: status 404" in reason
    os.rename(lab.path("kept"), path)
    pc.console.wait("STANDIN end", BOOT_S)  # without a key: it tries again by itself


def test_verity_guards_what_the_sum_did_not(lab):
    """An image whose sum was published wrong all the same is not run."""
    lab.serve()
    path = root_file(lab)
    good = open(path, "rb").read()
    spoil(path, 8)
    bad = open(path, "rb").read()
    change(menu(lab), hashlib.sha256(good).hexdigest(), hashlib.sha256(bad).hexdigest())
    pc = lab.power_on()
    pc.console.wait("CARREL-B07", BOOT_S)
    assert "squashfs: Input/output error" in pc.console.wait("Reason:", 5)


def test_no_dhcp_answer(lab):
    lab.serve()
    log = netlab.Follow(lab.dnsmasq_log())
    pc = lab.power_on()
    log.wait("pxelinux.cfg/default to", BOOT_S)
    lab.stop("dnsmasq")  # the firmware had its answer; the init gets none
    pc.console.wait("CARREL-B03", BOOT_S)
    pc.console.wait("Retry in", 5)
    lab.start("dnsmasq")
    pc.press("spc")
    pc.console.wait("STANDIN end", BOOT_S)


def test_too_little_memory(lab):
    lab.serve()
    pc = lab.power_on(memory=160)
    pc.console.wait("CARREL-B06", BOOT_S)
    assert "MiB needed" in pc.console.wait("Reason:", 5)


def test_command_line_lacks_a_parameter(lab):
    lab.serve()
    change(menu(lab), "carrel.sha256=", "carrel.sum=")
    pc = lab.power_on()
    pc.console.wait("CARREL-B08", BOOT_S)
    assert "carrel.sha256 is missing or malformed" in pc.console.wait("Reason:", 5)


def test_silent_nfs_server_does_not_stop_the_boot(lab):
    lab.serve()
    lab.daemons["nfs"].send_signal(signal.SIGSTOP)
    pc = lab.power_on()
    assert "NFS: " in pc.console.wait("Carrel: NFS", BOOT_S)
    pc.console.wait("by HTTP is the published one", BOOT_S)
    lab.daemons["nfs"].send_signal(signal.SIGCONT)


def test_no_link(lab):
    lab.serve()
    change(menu(lab), "quiet loglevel=3", "loglevel=7")
    pc = lab.power_on()
    pc.console.wait("Linux version", BOOT_S)
    pc.qmp("set_link", name="n0", up=False)
    pc.console.wait("CARREL-B02", BOOT_S)
    pc.console.wait("Retry in", 5)
    pc.qmp("set_link", name="n0", up=True)
    pc.press("spc")
    pc.console.wait("STANDIN end", BOOT_S)


def test_nomodeset_has_the_firmwares_screen(lab):
    """As an option of this seat, which has a menu of its own for that."""
    lab.plan("nomodeset")
    lab.serve()
    assert "115200 nomodeset" not in open(menu(lab)).read()
    pc = lab.power_on()
    line = pc.console.wait("STANDIN uid", BOOT_S)
    assert " dri=no fb=yes " in line


def test_viewer_that_ends_is_shown_and_started_again(lab):
    lab.serve()
    change(menu(lab), "carrel.server=", "standin=exit carrel.server=")
    pc = lab.power_on()
    for _ in range(3):
        pc.console.wait("STANDIN end", BOOT_S)
    pc.console.wait("CARREL-B09", BOOT_S)
    assert "status 3" in pc.console.wait("Reason:", 5)
    pc.console.wait("Retry in", 5)
    pc.press("spc")
    pc.console.wait("STANDIN end", 10)
    assert {"stage": "failed", "error": "CARREL-B09"}.items() <= lab.reports()[-1].items()


def test_lease_is_renewed(lab):
    lab.serve(dnsmasq="dhcp-option-force=option:T1,8\n")
    pc = lab.power_on()
    pc.console.wait("STANDIN end", BOOT_S)
    before = open(lab.dnsmasq_log()).read().count("DHCPREQUEST")
    log = netlab.Follow(lab.dnsmasq_log())
    log.wait_count("DHCPREQUEST", before + 2, 60)


def test_the_pack(lab):
    """Every piece is what the index says, and both have what they should."""
    lab.bootconf()
    data, pieces = open(driverpack.pack(lab), "rb").read(), driverpack.index(lab)
    names = {path.rsplit("/", 1)[1] for path in pieces}
    assert {"i915.ko", "amdgpu.ko", "radeon.ko", "nouveau.ko", "R100_cp.bin", "polaris10_mc.bin"} <= names
    # what the root has is not here; what no module asks for neither; the network card's is in the initramfs
    assert not {"drm.ko", "bochs.ko", "virtio-gpu.ko", "x.bin", "d101m_ucode.bin"} & names
    for path, (offset, packed, size, sha) in pieces.items():
        piece = data[offset:offset + packed]
        assert len(piece) == packed and hashlib.sha256(piece).hexdigest() == sha, path
    offset, packed, size, _ = pieces["firmware/" + driverpack.BLOB]
    unpacked = subprocess.run(["zstd", "-dcq"], input=data[offset:offset + packed], capture_output=True, check=True)
    assert unpacked.stdout == driverpack.FILES[driverpack.BLOB] and size == len(driverpack.FILES[driverpack.BLOB])
    initrd = subprocess.run("zstd -dcq %s | cpio -it --quiet" % os.path.join(lab.images, "client/current/initrd"),
                            shell=True, capture_output=True, text=True, check=True).stdout.split()
    assert "lib/firmware/e100/d101m_ucode.bin" in [name.removeprefix("./") for name in initrd]


@pytest.mark.full
def test_a_card_gets_its_driver_and_firmware(lab):
    lab.serve()
    change(menu(lab), *NO_MONITOR)
    pc = lab.power_on(screen=driverpack.RADEON)
    pc.console.wait("driver radeon.ko", BOOT_S)
    pc.console.wait("firmware " + driverpack.BLOB, BOOT_S)


def test_no_screen_at_all_is_told_and_tried_again(lab):
    lab.serve()
    driverpack.spoil(lab, "/radeon.ko")
    change(menu(lab), *NO_MONITOR)
    pc = lab.power_on(screen=driverpack.RADEON)
    pc.console.wait("CARREL-B10", BOOT_S)
    assert "radeon.ko: what the server has is not the published one" in pc.console.wait("Reason:", 5)
    pc.console.wait("Retry in", 5)
    netlab.Follow(lab.path("reports.log")).wait("CARREL-B10", 20)
    os.rename(driverpack.pack(lab) + ".good", driverpack.pack(lab))
    pc.console.wait("driver radeon.ko", BOOT_S)
    pc.console.wait("firmware " + driverpack.BLOB, BOOT_S)
