# SPDX-License-Identifier: GPL-2.0-or-later
"""Further versions of an image for a test: of the same files, signed by the lab's key."""

import json
import os
import shutil

from .net import run


def share_file(source, target):
    """A hard link where possible (no space, no time), else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def share_folder(source, target):
    """The files of a version's folder, in a new one."""
    os.makedirs(target)
    for file in os.listdir(source):
        share_file(os.path.join(source, file), os.path.join(target, file))


class Versions:
    """Makes and signs them; `key` need not be there yet."""

    def __init__(self, key, source):
        self.key, self.signer = key, os.path.join(source, "build", "out", "carrel-image-sign")

    @staticmethod
    def manifest(folder):
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as f:
            return json.load(f)

    def change(self, folder, **words):
        """A version's manifest with other words, in its place with its signature beside it."""
        path = os.path.join(folder, "manifest.json")
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump(self.manifest(folder) | words, f)
        signature = run(self.signer, "--key", self.key, path + ".new").stdout
        with open(path + ".sig", "w", encoding="utf-8") as f:
            f.write(signature)
        os.rename(path + ".sig", os.path.join(folder, "manifest.sig"))
        os.rename(path + ".new", path)

    def another(self, image, **root):
        """Beside the current version in the folder `image`; "name@version"."""
        current = os.path.realpath(os.path.join(image, "current"))
        version = f"{os.path.basename(current).split('.')[0]}.{100 + len(os.listdir(image))}"
        target = os.path.join(image, version)
        share_folder(current, target)
        self.change(target, version=version, root=self.manifest(target)["root"] | root)
        return f"{os.path.basename(image)}@{version}"
