# SPDX-License-Identifier: GPL-2.0-or-later
"""The firmware of virtual PCs, as words for QEMU: SeaBIOS, or OVMF with or without Secure Boot."""
import os
import shutil
import subprocess

OVMF = "/usr/share/OVMF"
CODE, VARIABLES = OVMF + "/OVMF_CODE_4M.secboot.fd", OVMF + "/OVMF_VARS_4M.fd"


def lacks():
    """What UEFI PCs need and this machine lacks, as a list."""
    missing = [] if shutil.which("flash-var") else ["efitools"]
    return missing + [name for name in (CODE, VARIABLES) if not os.path.exists(name)]


def bios():
    return ["-M", "pc"]


MICROSOFT = OVMF + "/OVMF_VARS_4M.ms.fd"


def uefi(flash, enrolled=None, http=False, forbidden=None, variables=VARIABLES):
    """OVMF with its variables in the file `flash`, made anew. With `enrolled`, the folder of PK.esl,
    KEK.esl and db.esl that carrel boot key make has made, they are enrolled, which is to say that
    Secure Boot is on; else it is off. `http`: no PXE, so that HTTP Boot comes first. `forbidden`: a file
    with a signature list for dbx. `variables`: what it has from the factory; MICROSOFT: Secure Boot
    with Microsoft's keys."""
    shutil.copy(variables, flash)
    lists = [(name, os.path.join(enrolled, name + ".esl")) for name in ("db", "KEK", "PK")] if enrolled else []
    for name, path in lists + ([("dbx", forbidden)] if forbidden else []):
        done = subprocess.run(["flash-var", flash, name, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    words = ["-M", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
             "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + CODE,
             "-drive", "if=pflash,format=raw,unit=1,file=" + flash]
    for version in ("IPv4", "IPv6") if http else ():
        words += ["-fw_cfg", "name=opt/org.tianocore/%sPXESupport,string=no" % version]
    return words
