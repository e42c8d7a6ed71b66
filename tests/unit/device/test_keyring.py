"""Keys of type user, as /proc/keys lists them and as the kernel gives them."""

from __future__ import annotations

import shutil
import subprocess
import uuid

import pytest

from luksafe.device.keyring import parse_user_keys, readable_keys

LISTED = """\
0b1c2d3e I--Q---     1 perm 1f3f0000     0 65534 keyring   _uid.0: 3
1a2b3c4d I--Q---     2 perm 3f010000     0     0 user      home: volume key: 64
2a2b3c4d I--Q---     2   3d 3f010000     0     0 user      short: 3
3a2b3c4d I--Q---     1 perm 3f010000     0     0 logon     cryptsetup:1-d0: 64
nonsense
"""


def test_parse() -> None:
    assert parse_user_keys(LISTED) == [(0x1A2B3C4D, "home: volume key", 64), (0x2A2B3C4D, "short", 3)]


def test_a_key_that_may_be_read() -> None:
    if shutil.which("keyctl") is None:
        pytest.skip("needs keyctl")
    payload, name = uuid.uuid4().bytes, f"luksafe-{uuid.uuid4()}"
    added = subprocess.run(["keyctl", "padd", "user", name, "@u"], input=payload, capture_output=True)
    if added.returncode:
        pytest.skip(f"no keyrings here: {added.stderr.decode().strip()}")
    try:
        found = {key.description: key.payload.reveal() for key in readable_keys(len(payload))}
        if not found:
            pytest.skip("/proc/keys does not show the keys of this session")
        assert found[name] == payload
    finally:
        subprocess.run(["keyctl", "unlink", added.stdout.decode().strip(), "@u"], capture_output=True)
