"""What a packet says becomes the parameters of a header, or is refused in words."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Any

import escrow_samples as samples
import pytest
from generators.headers import PASSPHRASE, VOLUME_KEY, luks2_image

from luksafe.errors import DamagedInput, KeyRejected, Refused, Unsupported
from luksafe.escrow.contents import Secret
from luksafe.ops.rebuild.from_packet import key_of_packet
from luksafe.secret import SecretBytes


def take(**changes: Any) -> Any:
    return key_of_packet(samples.contents(**changes), "packet 1")


def test_parameters() -> None:
    source = take()
    assert source.parameters is not None
    assert (source.parameters.uuid, source.parameters.label) == (samples.UUID, "root")
    assert (source.parameters.data_offset, source.parameters.keyslots_size) == (16777216, 16744448)
    assert source.parameters.digest is not None and source.parameters.digest.iterations == 216647
    assert [proof.by for proof in source.proofs] == ["canary"]


@pytest.mark.parametrize("changes", [{"sector_size": 4096}, {"encryption": "aes-xts-plain"}, {"iv_tweak": "8"}])
def test_altered_parameters_do_not_fit_the_canary(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as raised:
        take(volume=samples.volume(**changes))
    assert raised.value.code == "canary"


def test_an_altered_key_does_not_fit_the_canary() -> None:
    with pytest.raises(Refused, match="the key or more"):
        take(secrets=(Secret("volume-key", SecretBytes(samples.KEY[::-1]), 0),))


def test_a_packet_without_canary_or_parameters() -> None:
    bare = take(canary=None, volume=replace(samples.volume(), segments={}, digests={}))
    assert (bare.parameters, bare.uuid, bare.proofs) == (None, samples.UUID, ())


def test_with_integrity_there_is_no_canary_to_check() -> None:
    source = take(volume=samples.volume(integrity={"type": "hmac(sha256)"}))
    assert source.proofs == () and source.parameters is not None
    assert source.parameters.integrity == {"type": "hmac(sha256)"}


def test_a_fixed_size() -> None:
    assert take(volume=samples.volume(size="1048576")).parameters.segment_size == 1 << 20


@pytest.mark.parametrize("config", [{"keyslots_size": "much"}, {"flags": 1}])
def test_nonsense_is_said(config: dict[str, Any]) -> None:
    with pytest.raises(DamagedInput):
        take(volume=replace(samples.volume(), config=config))


def test_a_key_of_another_size() -> None:
    with pytest.raises(DamagedInput, match="256 bits and speaks of 512"):
        take(secrets=(Secret("volume-key", SecretBytes(bytes(32)), 0),))


def test_reencryption() -> None:
    segments = samples.volume().segments
    twice = replace(samples.volume(), segments={"0": segments["0"] | {"size": "512"}, "1": segments["0"]})
    with pytest.raises(Unsupported, match="reencryption"):
        take(volume=twice)


def test_a_passphrase_opens_the_sealed_header() -> None:
    secret = (Secret("passphrase", SecretBytes(PASSPHRASE), 0),)
    source = take(secrets=secret, header_gz=gzip.compress(luks2_image()), canary=None)
    assert source.key.reveal() == VOLUME_KEY
    with pytest.raises(KeyRejected):
        take(secrets=(Secret("passphrase", SecretBytes(b"wrong"), 0),), header_gz=gzip.compress(luks2_image()))
    with pytest.raises(KeyRejected):
        take(secrets=secret)


def test_a_sealed_header_that_is_none() -> None:
    with pytest.raises(DamagedInput, match="no gzip file"):
        take(header_gz=b"no gzip")
    with pytest.raises(DamagedInput, match="more than 64 MiB"):
        take(header_gz=gzip.compress(bytes((64 << 20) + 1)))
