# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the lab's tests. They need root; each module brings its own lab up once."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from carrel_lab import Lab  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "lab: needs root, network namespaces and virtual machines")


def pytest_collection_modifyitems(items):
    here = os.path.dirname(os.path.abspath(__file__))
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.lab)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="the lab needs root"))


def fresh(name, **kwargs):
    """A lab of that name; what an earlier, crashed run left is taken down first."""
    lab = Lab(name, say=lambda text: print(f"  {text}"), **kwargs)
    lab.down()
    return lab
