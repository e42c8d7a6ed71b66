"""What PACKET names, and what becomes of packets that are damaged or lack their public part."""

from __future__ import annotations

import hashlib
from pathlib import Path

import escrow_samples as samples
import pytest
from vault_samples import flip

from luksafe.errors import DamagedInput, NotFound, UsageError
from luksafe.escrow.packet import Packet, seal
from luksafe.escrow.recipients.age import AgeIdentity, parse_recipient
from luksafe.ops.escrow.found import find_packet, find_stored, packets_in_vault, read_packet_file, readable
from luksafe.ops.escrow.keeping import store_packet
from luksafe.ops.escrow.opening import canary_words, open_found, pick_secret
from luksafe.ops.escrow.summary import summarise
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes


def packet(**changes: object) -> Packet:
    recipient = parse_recipient(str(samples.age_identity().to_public()))
    return seal(samples.contents(**changes), [recipient], bytes)


def put(folder: Path, made: Packet, name: str = "packet") -> Path:
    assert made.public is not None
    path = folder / f"{name}.age"
    path.write_bytes(made.sealed)
    path.with_suffix(".json").write_bytes(made.public.to_bytes())
    return path


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "vault", state_folder=tmp_path / "state")


def test_by_id_by_prefix_by_uuid(workspace: Workspace, tmp_path: Path) -> None:
    added = store_packet(workspace, read_packet_file(put(tmp_path, packet())))
    for name in (added.id, added.id[:8], "0123456789abcdef", "0123", samples.UUID, samples.UUID.upper(), "vault:0123"):
        assert find_packet(workspace, name).vault_id == added.id
    for name in ("012", "ffff", "", "11111111-2222-3333-4444-555555555555"):
        with pytest.raises(NotFound):
            find_packet(workspace, name)


def test_several_are_listed(workspace: Workspace, tmp_path: Path) -> None:
    for number in range(2):
        store_packet(workspace, read_packet_file(put(tmp_path, packet(packet_id=f"{number:016x}"), str(number))))
    with pytest.raises(UsageError) as caught:
        find_packet(workspace, samples.UUID)
    assert all(f"{number:016x}" in str(caught.value) for number in range(2))
    assert len(packets_in_vault(workspace, samples.UUID)) == 2


def test_what_a_store_brought_and_is_no_packet_hides_no_other(workspace: Workspace, tmp_path: Path) -> None:
    added = store_packet(workspace, read_packet_file(put(tmp_path, packet())))
    strange = b"no packet at all"
    name = f"{hashlib.sha256(strange).hexdigest()[:32]}.age"
    (tmp_path / "vault" / samples.UUID / name).write_bytes(strange)
    with workspace.open_vault() as vault:
        stored = vault.packets(samples.UUID)
    assert len(stored) == 2
    assert [each.id for each in summarise(readable(stored))] == ["0123456789abcdef"]
    assert [each.vault_id for each in packets_in_vault(workspace)] == [added.id]


def test_a_damaged_one_is_found_to_be_forgotten_but_not_opened(workspace: Workspace, tmp_path: Path) -> None:
    added = store_packet(workspace, read_packet_file(put(tmp_path, packet())))
    flip(tmp_path / "vault" / samples.UUID / f"{added.id}.age")
    assert find_stored(workspace, "0123456789abcdef").id == added.id
    with pytest.raises(DamagedInput, match="every copy"):
        find_packet(workspace, added.id)
    assert packets_in_vault(workspace) == []


def test_without_its_public_part(workspace: Workspace, tmp_path: Path) -> None:
    path = put(tmp_path, packet())
    path.with_suffix(".json").unlink()
    found = read_packet_file(path)
    assert (found.public, found.problem) == (None, "")
    added = store_packet(workspace, found)
    assert find_packet(workspace, added.id[:10]).description == f"packet {added.id[:16]}"
    with pytest.raises(UsageError, match="fits 2 packets"):
        store_packet(workspace, read_packet_file(put(tmp_path, packet(packet_id=added.id[:16]))))
        find_packet(workspace, added.id[:16])


def test_a_public_part_alone_is_none(tmp_path: Path) -> None:
    path = put(tmp_path, packet())
    path.unlink()
    with pytest.raises(NotFound, match="no sealed file"):
        read_packet_file(path.with_suffix(".json"))
    with pytest.raises(NotFound):
        read_packet_file(path)


def test_a_mixed_up_public_part_is_told(tmp_path: Path) -> None:
    path = put(tmp_path, packet())
    other = put(tmp_path, packet(packet_id="f" * 16), "other")
    path.with_suffix(".json").write_bytes(other.with_suffix(".json").read_bytes())
    found = read_packet_file(path)
    assert found.public is None
    assert "not used" in found.problem
    opened, problem = open_found(found, [AgeIdentity(samples.age_identity())])
    assert opened.contents.packet_id == "0123456789abcdef"
    assert problem == found.problem


def test_the_secret_that_is_meant() -> None:
    contents = samples.contents()
    assert pick_secret(contents).kind == "volume-key"
    assert pick_secret(contents, "passphrase").kind == "passphrase"
    with pytest.raises(NotFound, match="holds no volume-key"):
        pick_secret(samples.contents(secrets=contents.secrets[1:]), "volume-key")


def test_canaries_in_words() -> None:
    contents = samples.contents()
    assert canary_words(contents) == ""
    assert canary_words(samples.contents(canary=None)) == ""
    assert "sector_size should be 512" in canary_words(samples.contents(volume=samples.volume(sector_size=4096)))
    wrong = samples.contents(secrets=(type(contents.secrets[0])("volume-key", SecretBytes(bytes(range(1, 65))), 0),))
    assert "were altered" in canary_words(wrong)
    assert canary_words(samples.contents(volume=samples.volume(integrity={"type": "hmac(sha256)"}))) == ""
