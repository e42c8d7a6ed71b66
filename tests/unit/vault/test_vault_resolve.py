from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from vault_samples import NOW, OTHER_UUID, UUID, image_of, make_vault, record_of

from luksafe.errors import NotFound, UsageError
from luksafe.vault.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    opened = make_vault(tmp_path)
    yield opened
    opened.close()


def add(vault: Vault, text: str, *parents: str, **changes: str) -> str:
    return vault.add(record_of(parents=list(parents), **changes), image_of(text), now=NOW).id


def test_every_spelling_finds_the_backup(vault: Vault) -> None:
    first = add(vault, "first")
    second = add(vault, "second", first)
    for text in (first, first[:4], first[:4].upper(), f"{UUID}@{first}", f"{UUID.upper()}@{first[:2]}"):
        assert vault.resolve(text).id == first, text
    for text in (second, UUID, UUID.upper(), "nas"):
        assert vault.resolve(text).id == second, text


@pytest.mark.parametrize("text", ["", "zzzz", "0" * 32, OTHER_UUID, f"{UUID}@ffff", f"{OTHER_UUID}@", "NAS", "na"])
def test_what_names_nothing_is_not_found(vault: Vault, text: str) -> None:
    add(vault, "first")
    with pytest.raises(NotFound):
        vault.resolve(text)


def test_too_short_a_beginning_finds_nothing(vault: Vault) -> None:
    with pytest.raises(NotFound):
        vault.resolve(add(vault, "first")[:3])


def test_nothing_is_picked_in_silence(vault: Vault) -> None:
    first, second = add(vault, "first", lineage="x"), add(vault, "second", lineage="y")
    for text in (UUID, "nas", f"{UUID}@"):
        with pytest.raises(UsageError) as raised:
            vault.resolve(text)
        assert raised.value.code == "ambiguous"
        assert first[:12] in str(raised.value)
        assert second[:12] in str(raised.value)
        assert "luksafe diff" in raised.value.hint


def test_a_label_of_two_volumes_is_ambiguous(vault: Vault) -> None:
    add(vault, "first")
    add(vault, "second", uuid=OTHER_UUID)
    with pytest.raises(UsageError, match="fits 2 backups"):
        vault.resolve("nas")


def test_a_label_that_is_the_beginning_of_another_id_is_ambiguous(vault: Vault) -> None:
    first = add(vault, "first", label="")
    add(vault, "second", uuid=OTHER_UUID, label=first[:6])
    with pytest.raises(UsageError, match="fits 2 backups"):
        vault.resolve(first[:6])
    assert vault.resolve(first[:7]).id == first


def test_an_old_label_does_not_count(vault: Vault) -> None:
    first = add(vault, "first", label="old")
    add(vault, "second", first, label="new")
    with pytest.raises(NotFound):
        vault.resolve("old")


def test_a_long_list_of_candidates_is_cut(vault: Vault) -> None:
    for number in range(12):
        add(vault, str(number), lineage="")
    with pytest.raises(UsageError, match=r"fits 12 backups.* and 2 more"):
        vault.resolve(UUID)


def test_forgotten_ones_are_said_to_be_so(vault: Vault) -> None:
    first = add(vault, "first")
    vault.forget(first, "passphrase leaked", now=NOW)
    for text in (first, first[:5], UUID, f"{UUID}@{first[:5]}"):
        with pytest.raises(NotFound, match="forgotten on 2026-11-24T06:44:00Z: passphrase leaked") as raised:
            vault.resolve(text)
        assert raised.value.code == "forgotten"
    with pytest.raises(NotFound, match="no backup is named"):
        vault.resolve("nas")


def test_kept_again_it_is_found_by_the_same_words(vault: Vault) -> None:
    first = add(vault, "first")
    vault.forget(first, "", now=NOW)
    again = vault.add(record_of(), image_of("first"), now=NOW, again=True).id
    assert again == f"{first}-2"
    assert vault.resolve(first[:8]).id == vault.resolve(UUID).id == vault.resolve(again).id == again
    with pytest.raises(NotFound, match="was forgotten"):
        vault.resolve(first)


def test_an_image_without_record_is_still_found(vault: Vault, tmp_path: Path) -> None:
    first = add(vault, "first")
    (tmp_path / "home" / UUID / f"{first}.json").unlink()
    for text in (first, UUID, first[:6]):
        backup = vault.resolve(text)
        assert (backup.id, backup.record.uuid, backup.record.why) == (first, UUID, "its record is lost")
    second = add(vault, "second")
    assert vault.resolve(UUID).id == second
    third = add(vault, "third", lineage="x")
    (tmp_path / "home" / UUID / f"{third}.json").write_bytes(b"torn")
    with pytest.raises(UsageError, match=r"\(no record\)"):
        vault.resolve(f"{UUID}@")
