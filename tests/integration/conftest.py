# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the daemon share."""
import pytest

from fakes.site import make_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    make_certificate(folder)
    return folder
