"""Whether the header below an active mapping is the one that opened it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from generators.headers import luks1_image, luks2_image
from mapping_samples import mapping, table

from luksafe.device.crypt_table import MappingKey
from luksafe.ops import mapping_header
from luksafe.ops.mapping_header import judge_header, open_without_header

OTHER = "11111111-2222-3333-4444-555555555555"


def judge(tmp_path: Path, image: bytes, **changes: Any) -> mapping_header.MappingHeader:
    device = tmp_path / "device"
    device.write_bytes(image)
    return judge_header(mapping(device, **changes))


def test_a_whole_header(tmp_path: Path) -> None:
    verdict = judge(tmp_path, luks2_image())
    assert (verdict.state, verdict.next, verdict.is_whole) == ("whole", "", True)


def test_luks1(tmp_path: Path) -> None:
    verdict = judge(tmp_path, luks1_image(), type="LUKS1", tables=(table(offset_sectors=4096),))
    assert verdict.state == "whole", verdict.text


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"luks_uuid": OTHER}, "UUID"),
        ({"type": "LUKS1"}, "LUKS2, not LUKS1"),
        ({"tables": (table(cipher="aes-cbc-essiv:sha256"),)}, "cipher"),
        ({"tables": (table(sector_size=4096),)}, "sectors of 512, not 4096"),
        ({"tables": (table(offset_sectors=4096),)}, "data at byte 1048576, not 2097152"),
        ({"tables": (table(key=MappingKey("keyring", 32, "logon", "x")),)}, "key bits 512, not 256"),
    ],
)
def test_another_header(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    verdict = judge(tmp_path, luks2_image(), **changes)
    assert (verdict.state, word in verdict.text) == ("other", True), verdict.text
    assert verdict.next.startswith("luksafe rebuild ") and "do not reboot" in verdict.text


def test_a_header_that_is_gone(tmp_path: Path) -> None:
    verdict = judge(tmp_path, bytes(2 << 20))
    assert (verdict.state, verdict.next) == ("gone", f"luksafe rebuild {tmp_path / 'device'} --from-mapping home")


def test_one_damaged_copy(tmp_path: Path) -> None:
    image = bytearray(luks2_image())
    image[5000] ^= 1
    verdict = judge(tmp_path, bytes(image))
    assert (verdict.state, verdict.next) == ("damaged", f"luksafe repair {tmp_path / 'device'}")
    image[16384 + 5000] ^= 1
    assert judge(tmp_path, bytes(image)).next.startswith("luksafe rebuild")


def test_no_header_where_the_data_begin_at_byte_0(tmp_path: Path) -> None:
    assert judge(tmp_path, bytes(range(256)) * 8192, tables=(table(offset_sectors=0),)).state == "detached"


def test_the_header_that_crypttab_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crypttab, header = tmp_path / "crypttab", tmp_path / "header"
    header.write_bytes(luks2_image())
    crypttab.write_text(f"home /dev/sda none luks,header={header}\n")
    monkeypatch.setattr(mapping_header, "CRYPTTAB", crypttab)
    verdict = judge(tmp_path, bytes(2 << 20))
    assert (verdict.state, str(header) in verdict.text) == ("whole", True)


def test_mappings_that_are_no_luks_or_cannot_be_read(tmp_path: Path) -> None:
    assert judge(tmp_path, b"", type="PLAIN", luks_uuid="").state == "none"
    assert judge_header(mapping(tmp_path / "nosuch")).state == "unknown"


def test_several_tables_are_not_compared_one_by_one(tmp_path: Path) -> None:
    assert judge(tmp_path, luks2_image(), tables=(table(), table(sector_size=4096))).state == "whole"


def test_no_hint_where_nothing_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(4096))
    assert open_without_header(str(tmp_path / "image")) is None
    assert open_without_header(str(tmp_path / "nosuch")) is None
