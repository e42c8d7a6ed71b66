"""Parameters of a mapping, and the proof by what it shows of its device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generators.headers import UUID, VOLUME_KEY, luks2_image
from mapping_samples import mapped_files, mapping, table

from luksafe.device.crypt_table import MappingKey
from luksafe.errors import LuksafeError, Refused, Unsupported, UsageError
from luksafe.luks.create import Parameters
from luksafe.ops.rebuild.mapped import agreement, mapping_over, parameters_of, require_pair, single_table
from luksafe.secret import SecretBytes

KEY = SecretBytes(VOLUME_KEY)
PARAMETERS = Parameters("luks2", UUID, "aes-xts-plain64", 1 << 20)


def test_parameters(tmp_path: Path) -> None:
    own = table(iv_offset_sectors=8, sector_size=4096, flags=("allow_discards", "no_read_workqueue"))
    assert parameters_of(mapping(tmp_path, tables=(own,))) == replace(
        PARAMETERS, sector_size=4096, iv_tweak=8, flags=("allow-discards", "no-read-workqueue")
    )
    luks1 = parameters_of(mapping(tmp_path, type="LUKS1", tables=(table(flags=("allow_discards",)),)))
    assert (luks1.format, luks1.flags) == ("luks1", ())


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"is_suspended": True, "tables": (table(key=MappingKey("zeros", 64)),)}, Refused, "key-wiped"),
        ({"is_suspended": True}, Refused, "suspended"),
        ({"problem": "not allowed", "tables": ()}, LuksafeError, "failed"),
        ({"is_reencrypting": True}, Unsupported, "unsupported"),
        ({"tables": (table(), table())}, Unsupported, "unsupported"),
        ({"tables": (table(integrity_tag_bytes=32),)}, Unsupported, "unsupported"),
        ({"tables": (table(sector_size=4096, iv_large_sectors=True),)}, Unsupported, "unsupported"),
    ],
)
def test_mappings_that_cannot_be_rebuilt(
    tmp_path: Path, changes: dict[str, Any], error: type[LuksafeError], code: str
) -> None:
    with pytest.raises(error) as raised:
        single_table(mapping(tmp_path, **changes))
    assert raised.value.code == code


def test_no_luks_header_for_what_is_no_luks_unless_asked(tmp_path: Path) -> None:
    plain = mapping(tmp_path, type="PLAIN", luks_uuid="")
    with pytest.raises(Refused, match="its key stands in the device-mapper table"):
        parameters_of(plain)
    with pytest.raises(UsageError):
        parameters_of(plain, "luks2")
    assert parameters_of(plain, "luks2", UUID) == PARAMETERS


def test_agreement(tmp_path: Path) -> None:
    device, shown = mapped_files(tmp_path, luks2_image())
    found = agreement(mapping(device, shown), str(device), PARAMETERS, KEY)
    assert (found.equal, found.compared, found.is_proof) == (1024, 1024, True)


@pytest.mark.parametrize(
    "changes", [{"data_offset": 1 << 19}, {"iv_tweak": 8}, {"sector_size": 4096}, {"encryption": "aes-cbc-plain64"}]
)
def test_wrong_parameters_prove_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    device, shown = mapped_files(tmp_path, luks2_image())
    key = SecretBytes(VOLUME_KEY[:32]) if "encryption" in changes else KEY
    assert not agreement(mapping(device, shown), str(device), replace(PARAMETERS, **changes), key).is_proof


def test_a_wrong_key_proves_nothing(tmp_path: Path) -> None:
    device, shown = mapped_files(tmp_path, luks2_image())
    assert not agreement(mapping(device, shown), str(device), PARAMETERS, SecretBytes(VOLUME_KEY[::-1])).is_proof


def test_a_volume_that_is_written_to_is_still_proven(tmp_path: Path) -> None:
    device, shown = mapped_files(tmp_path, luks2_image())
    with shown.open("r+b") as file:
        file.write(bytes(200 << 10))
    found = agreement(mapping(device, shown), str(device), PARAMETERS, KEY)
    assert found.is_proof and found.equal < found.compared
    with shown.open("r+b") as file:
        file.write(bytes(900 << 10))  # most of it differs: not this device
    assert not agreement(mapping(device, shown), str(device), PARAMETERS, KEY).is_proof


def test_what_stands_on_no_device_is_no_pair(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(4096))
    with pytest.raises(Refused) as raised:
        require_pair(mapping(Path("/dev/null")), str(tmp_path / "image"))
    assert raised.value.code == "wrong-pair"
    assert mapping_over(str(tmp_path / "image")) is None
