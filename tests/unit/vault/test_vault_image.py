from __future__ import annotations

import gzip
import hashlib
import subprocess
from pathlib import Path

import pytest
from vault_samples import image_of

from luksafe.errors import DamagedInput, Unsupported
from luksafe.vault import image as image_module
from luksafe.vault.image import is_as_packed, pack, unpack, unpack_verified

IMAGE = image_of()


def test_an_image_survives_packing() -> None:
    packed = pack(IMAGE)
    assert packed == pack(IMAGE)
    assert is_as_packed(packed)
    assert unpack(packed) == IMAGE
    assert len(packed) < 1200


def test_gunzip_agrees(tmp_path: Path) -> None:
    (tmp_path / "x.hdr.gz").write_bytes(pack(IMAGE))
    subprocess.run(["gzip", "--test", tmp_path / "x.hdr.gz"], check=True)
    assert subprocess.run(["gunzip", "-c", tmp_path / "x.hdr.gz"], capture_output=True, check=True).stdout == IMAGE


def test_what_gzip_packed_is_read() -> None:
    packed = gzip.compress(IMAGE, mtime=12345)
    assert unpack(packed) == IMAGE
    assert not is_as_packed(packed)


def test_a_default_luks2_header_becomes_small() -> None:
    image = hashlib.shake_128(b"keyslot").digest(290_816) + bytes((16 << 20) - 290_816)
    assert len(pack(image)) < 400_000


@pytest.mark.parametrize("cut", [0, 1, 9, 10, 11, 500, -9, -8, -4, -1])
def test_a_torn_file_is_damaged(cut: int) -> None:
    with pytest.raises(DamagedInput):
        unpack(pack(IMAGE)[:cut])


@pytest.mark.parametrize("more", [b"\0", pack(b"another member")])
def test_bytes_after_the_end_are_damage(more: bytes) -> None:
    with pytest.raises(DamagedInput, match="follow"):
        unpack(pack(IMAGE) + more)


def test_a_bomb_is_refused_at_the_limit() -> None:
    bomb = gzip.compress(bytes(64 << 20), mtime=0)
    assert len(bomb) < 100_000
    with pytest.raises(DamagedInput, match="more than the 5000 bytes"):
        unpack(bomb, 5000)
    assert unpack(pack(IMAGE), 5000) == IMAGE


def test_an_image_is_verified_by_sum_and_size() -> None:
    packed, sha256 = pack(IMAGE), hashlib.sha256(IMAGE).hexdigest()
    assert unpack_verified(packed, sha256[:32]) == unpack_verified(packed, sha256, 5000) == IMAGE
    with pytest.raises(DamagedInput, match="SHA-256"):
        unpack_verified(packed, "0" * 32)
    with pytest.raises(DamagedInput, match="5000 bytes, its record says 5001"):
        unpack_verified(packed, sha256, 5001)


def test_sizes_out_of_bounds_are_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unsupported):
        pack(b"")
    monkeypatch.setattr(image_module, "MAX_IMAGE_BYTES", 4999)
    with pytest.raises(Unsupported, match="cannot be kept"):
        pack(IMAGE)
