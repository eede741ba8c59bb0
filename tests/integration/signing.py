# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys and signatures of images, made by the programs that make them in the field."""
import pathlib
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]
SIGNER = TREE / "build/out/carrel-image-sign"


def make_keys(pki):
    """image-signing.key and .pub in the folder `pki`, as carrel-pki makes them."""
    pki = pathlib.Path(pki)
    pki.mkdir(parents=True, exist_ok=True)
    key, pub = pki / "image-signing.key", pki / "image-signing.pub"
    subprocess.run(["certtool", "--generate-privkey", "--key-type=ed25519", "--no-text", "--outfile",
                    key], check=True, capture_output=True)
    subprocess.run(["certtool", "--load-privkey", key, "--pubkey-info", "--no-text", "--outfile", pub],
                   check=True, capture_output=True)
    return key


def sign(version, pki):
    """Signs the manifest in the folder `version`."""
    version = pathlib.Path(version)
    signature = subprocess.run([SIGNER, "--key", pathlib.Path(pki) / "image-signing.key",
                                version / "manifest.json"], check=True, capture_output=True).stdout
    (version / "manifest.sig").write_bytes(signature)
