"""Packets of real volumes: what the header says goes in, comes out, and proves the key."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any

import escrow_samples as samples
import pytest
from conftest import load_corpus

from luksafe.errors import Unsupported
from luksafe.escrow.canary import CipherParameters, check_canary, make_canary
from luksafe.escrow.packet import open_packet, read_packet, seal
from luksafe.escrow.parameters import VolumeParameters
from luksafe.escrow.recipients.files import load_identities, read_recipients
from luksafe.escrow.volume_key.packet import Keys
from luksafe.escrow.volume_key.packet import open_packet as open_volume_key_packet
from luksafe.luks.inspection import inspect
from luksafe.reader import BytesReader

FAMILIES = ("luks1-generated", "luks2-generated", "luks2-integrity", "payload", "reencrypt")


def healthy(case: dict[str, Any]) -> bool:
    return case["family"] in FAMILIES and case.get("verdict") == "valid" and bool(case.get("luks", {}).get("cipher"))


CASES = sorted(name for name, case in load_corpus().cases.items() if healthy(case)) if load_corpus() else []


@pytest.mark.parametrize("name", CASES)
def test_parameters_are_those_that_cryptsetup_prints(corpus: Any, name: str) -> None:
    luks = corpus.cases[name]["luks"]
    header = inspect(
        BytesReader(corpus.data(name, "header" if "header" in corpus.cases[name]["files"] else "image"))
    ).header
    assert header is not None
    volume = VolumeParameters.from_header(header, int(luks.get("key_bits") or 256) // 8)
    assert (volume.format, volume.uuid, volume.label) == (f"luks{luks['version']}", luks["uuid"], luks.get("label", ""))
    if not header.is_in_reencryption:
        assert (volume.cipher, volume.sector_size) == (luks["cipher"], luks["sector_size"])
        assert volume.data_offset == luks["data_offset"]
    assert volume.is_complete
    assert VolumeParameters.from_json(volume.to_json()) == volume


@pytest.mark.parametrize("name", ["vk-alpha-l1-cleartext", "vk-alpha-l2-cleartext"])
def test_from_volume_and_key_to_packet_and_back(corpus: Any, name: str) -> None:
    header = inspect(BytesReader(corpus.data(name))).header
    key = open_volume_key_packet(corpus.data(name, "packet"), Keys()).secret
    volume = VolumeParameters.from_header(header, len(key))
    canary = make_canary(CipherParameters.of(volume), key)
    contents = samples.contents(
        volume=volume, canary=canary, secrets=(samples.Secret("volume-key", key, int(volume.digest_id)),)
    )
    packet = seal(contents, read_recipients(str(samples.age_identity().to_public()).encode()), os.urandom)
    opened = open_packet(read_packet(packet.sealed), load_identities(str(samples.age_identity()).encode())).contents
    found = opened.secret("volume-key").value
    digest = opened.volume.digests[opened.volume.digest_id]
    expected = base64.b64decode(digest["digest"])
    made = hashlib.pbkdf2_hmac(
        digest["hash"], found.view, base64.b64decode(digest["salt"]), digest["iterations"], len(expected)
    )
    assert made == expected
    assert check_canary(opened.canary, CipherParameters.of(opened.volume), found).fits


def test_integrity_has_no_canary(corpus: Any) -> None:
    header = inspect(BytesReader(corpus.data("g2-integrity-hmac-sha256"))).header
    with pytest.raises(Unsupported):
        CipherParameters.of(VolumeParameters.from_header(header, 96))
