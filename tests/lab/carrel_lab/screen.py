# SPDX-License-Identifier: GPL-2.0-or-later
"""A picture of a PC's screen: its text by OCR, its colours, its likeness to another one."""

import io
import re
import subprocess

import numpy
from PIL import Image, ImageOps

from .errors import LabError


def squeeze(text):
    """One space for any white space, so that a pattern need not know where lines were broken."""
    return re.sub(r"\s+", " ", text).strip()


class Screen:
    """`pixels` is height x width x 3 bytes."""

    def __init__(self, pixels):
        self.pixels = pixels

    @classmethod
    def from_ppm(cls, path):
        with open(path, "rb") as f:
            data = f.read()
        match = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
        if not match:
            raise LabError(f"{path} is no PPM picture; QEMU writes one at `screendump`")
        width, height = int(match[1]), int(match[2])
        pixels = numpy.frombuffer(data, numpy.uint8, offset=match.end())
        return cls(pixels[:width * height * 3].reshape(height, width, 3))

    @property
    def size(self):
        return self.pixels.shape[1], self.pixels.shape[0]

    def crop(self, region):
        """`region` is (left, top, right, bottom) in pixels, or as fractions when all are <= 1."""
        if region is None:
            return self
        if all(v <= 1 for v in region):
            w, h = self.size
            region = (region[0] * w, region[1] * h, region[2] * w, region[3] * h)
        left, top, right, bottom = (int(v) for v in region)
        return Screen(self.pixels[top:bottom, left:right])

    def image(self):
        return Image.fromarray(self.pixels)

    def save(self, path):
        self.image().save(path)
        return path

    def text(self, region=None, languages="eng", scale=2, line=False):
        """What stands there, by OCR, white space squeezed. Dark screens are read inverted. `line`:
        the region holds one line, perhaps one word."""
        picture = ImageOps.grayscale(self.crop(region).image())
        if numpy.asarray(picture).mean() < 128:
            picture = ImageOps.invert(picture)
        picture = ImageOps.autocontrast(picture)
        if line:
            picture = ImageOps.expand(picture, 10, 255)
        picture = picture.resize((picture.width * scale, picture.height * scale), Image.BICUBIC)
        data = io.BytesIO()
        picture.save(data, "PNG", compress_level=1)
        result = subprocess.run(
            ["tesseract", "stdin", "stdout", "-l", languages, "--psm", "7" if line else "11"],
            input=data.getvalue(), capture_output=True, check=False,
            env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
        if result.returncode:
            raise LabError(f"tesseract: {result.stderr.decode(errors='replace').strip()}; are the "
                           f"packages tesseract-ocr and tesseract-ocr-kor installed?")
        return squeeze(result.stdout.decode("utf-8", "replace"))

    def share(self, colour, region=None, tolerance=8):
        """Which part (0..1) of the region has `colour` (r, g, b)?"""
        part = self.crop(region).pixels.astype(numpy.int16)
        near = (abs(part - numpy.array(colour, numpy.int16)) <= tolerance).all(axis=2)
        return float(near.mean())

    def colours(self, region=None):
        """How many different colours there are, coarse (5 bits each): 1 is a blank screen."""
        part = self.crop(region).pixels.astype(numpy.uint32) >> 3
        return len(numpy.unique(part[:, :, 0] << 10 | part[:, :, 1] << 5 | part[:, :, 2]))

    def difference(self, other):
        """Which part (0..1) of the pixels differs; 1 when the sizes do."""
        if other is None or other.pixels.shape != self.pixels.shape:
            return 1.0
        return float((self.pixels != other.pixels).any(axis=2).mean())
