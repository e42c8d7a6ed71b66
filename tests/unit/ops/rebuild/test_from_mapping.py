"""The key of an active mapping, and all that an emergency saves of it: a mapping over files, as the kernel shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import escrow_samples as samples
import pytest
from generators.headers import UUID, VOLUME_KEY, luks2_image
from mapping_samples import mapped_files, mapping, table

from luksafe.device.crypt_table import MappingKey
from luksafe.device.mappings import Mapping
from luksafe.errors import KeyRejected, Refused
from luksafe.escrow.recipients.age import parse_recipient
from luksafe.luks.create import KdfChoice
from luksafe.memory.schedule import expand_key
from luksafe.ops.escrow.recipients import SealTo
from luksafe.ops.rebuild import emergency, find_keys, from_mapping, mapped
from luksafe.ops.rebuild.emergency import EmergencyOrder, save_all
from luksafe.ops.rebuild.from_mapping import key_of_mapping
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes

CHEAP = KdfChoice("pbkdf2", iterations=1000)
Activate = Callable[..., Mapping]


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A volume whose header is gone."""
    header = luks2_image()
    return mapped_files(tmp_path, bytes(len(header)))[0]


@pytest.fixture
def activate(monkeypatch: pytest.MonkeyPatch, device: Path, tmp_path: Path) -> Activate:
    """Let a mapping over the device be what the kernel lists."""

    def make(**changes: object) -> Mapping:
        made = mapping(device, tmp_path / "shown", **changes)
        for module in (from_mapping, emergency, find_keys):
            monkeypatch.setattr(module, "find_mapping", lambda name: made)
        monkeypatch.setattr(mapped, "mappings_over", lambda path: [made] if path == str(device) else [])
        return made

    return make


def hidden() -> MappingKey:
    return replace(table().key, place="keyring", secret=None, type="logon", description=f"cryptsetup:{UUID}-d0")


def test_from_the_table(activate: Activate, device: Path) -> None:
    activate()
    said: list[str] = []
    source = key_of_mapping("home", str(device), say=said.append)
    assert source.key.reveal() == VOLUME_KEY
    assert "do not reboot" in said[0]


def test_another_device_is_refused(activate: Activate, tmp_path: Path) -> None:
    activate()
    (tmp_path / "other").write_bytes(bytes(1 << 20))
    with pytest.raises(Refused) as raised:
        key_of_mapping("home", str(tmp_path / "other"), say=lambda _: None)
    assert raised.value.code == "wrong-pair"


@pytest.mark.parametrize("holds_key", [True, False])
def test_from_memory_where_the_key_is_hidden(
    activate: Activate, device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holds_key: bool
) -> None:
    activate(tables=(table(key=hidden()),))
    key = VOLUME_KEY if holds_key else VOLUME_KEY[::-1]
    memory = tmp_path / "memory"
    memory.write_bytes(b"".join(expand_key(half).ljust(496, b"\0") for half in (key[32:], key[:32])).rjust(1 << 16))
    monkeypatch.setattr(from_mapping, "KCORE", memory)
    said: list[str] = []
    if holds_key:
        source = key_of_mapping("home", str(device), say=said.append)
        assert source.key.reveal() == VOLUME_KEY
    else:
        with pytest.raises(KeyRejected) as raised:
            key_of_mapping("home", str(device), say=said.append)
        assert "copy the data out" in raised.value.hint
    assert "which programs cannot read" in said[1]


@pytest.mark.parametrize("sealed", [True, False])
def test_emergency_says_where_all_stands(activate: Activate, device: Path, tmp_path: Path, sealed: bool) -> None:
    activate()
    before = device.read_bytes()
    workspace = Workspace(tmp_path / "vault", state_folder=tmp_path / "state")
    groups = (SealTo((parse_recipient(str(samples.age_identity().to_public())),)),) if sealed else ()
    order = EmergencyOrder(tmp_path / "header", SecretBytes(b"new"), CHEAP, groups)
    done = save_all(workspace, "home", order, lambda _: None)
    assert (done.uuid, done.keyslot, done.problems) == (UUID, 0, ())
    assert done.imported is not None and len(done.packets) == sealed
    assert "decrypt to what home shows" in done.proof
    assert device.read_bytes() == before


def test_emergency_with_the_vault_out_of_reach(activate: Activate, device: Path, tmp_path: Path) -> None:
    activate()
    (tmp_path / "vault").write_text("no folder")
    order = EmergencyOrder(tmp_path / "header", SecretBytes(b"new"), CHEAP)
    done = save_all(Workspace(tmp_path / "vault", state_folder=tmp_path / "state"), "home", order, lambda _: None)
    assert done.imported is None and done.problems[0].startswith("not in the vault:")
    assert done.header_file.stat().st_size


def test_keys_of_a_mapping_by_its_name(activate: Activate, tmp_path: Path) -> None:
    activate(tables=(table(key=hidden()),))
    memory = tmp_path / "memory"
    halves = (VOLUME_KEY[32:], VOLUME_KEY[:32])
    memory.write_bytes(b"".join(expand_key(half).ljust(496, b"\0") for half in halves).rjust(1 << 16))
    targets, left_out = find_keys.targets_of(Workspace(tmp_path / "vault"), [], ["home"])
    report = find_keys.find_keys(memory, targets)
    assert left_out == [] and report.schedules == 2
    assert report.keys[0].proven_by == "the active mapping"
    assert report.keys[0].key is not None and report.keys[0].key.reveal() == VOLUME_KEY
