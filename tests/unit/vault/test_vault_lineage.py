from __future__ import annotations

from typing import Any

import pytest
from vault_samples import record_of

from luksafe.vault.lineage import Lineage, judge
from luksafe.vault.record import Record, Sighting


def record(backup_id: str, *parents: str, **changes: Any) -> Record:
    return record_of(**{"id": backup_id, "parents": list(parents), "lineage": ""} | changes)


def sighting(backup_id: str, *parents: str) -> Sighting:
    return Sighting(id=backup_id, parents=list(parents), when="")


def current(*records: Record, forgotten: tuple[str, ...] = (), **sightings: Sighting) -> list[str]:
    return judge(records, sightings, forgotten).current


def test_nothing_stored_is_nothing_current() -> None:
    assert judge([], {}, []) == Lineage([], [])


def test_what_followed_is_current_whatever_the_sequence_id() -> None:
    assert current(record("a", seqid=9), record("b", "a", seqid=3), record("c", "b", seqid=4)) == ["c"]


def test_two_that_followed_one_are_both_shown() -> None:
    assert current(record("a"), record("b", "a", seqid=4), record("c", "a", seqid=5)) == ["b", "c"]
    assert current(record("a"), record("b", "a"), record("c", "a"), record("d", "b", "c")) == ["d"]


def test_unrelated_ones_are_both_shown() -> None:
    assert current(record("a", seqid=3), record("b", seqid=4)) == ["a", "b"]
    assert current(record("a", seqid=3, lineage="x"), record("b", seqid=4, lineage="y")) == ["a", "b"]


def test_an_imported_older_generation_is_not_current() -> None:
    history = [record("a", seqid=5, lineage="x"), record("b", "a", seqid=6, lineage="x")]
    assert current(*history, record("i", seqid=3, lineage="x")) == ["b"]
    assert current(*history, record("i", seqid=6, lineage="x")) == ["b", "i"]
    assert current(*history, record("i", seqid=7, lineage="x")) == ["b", "i"], "perhaps a failed recovery"
    assert current(*history, record("i", seqid=3, lineage="x", luks="luks1")) == ["b", "i"]


def test_imports_alone_are_ordered_by_sequence_id() -> None:
    imports = [record(name, seqid=seqid, lineage="x") for name, seqid in (("a", 3), ("b", 9), ("c", 5))]
    assert current(*imports) == ["b"]
    assert current(*imports, forgotten=("b",)) == ["c"]


def test_luks1_imports_are_never_ordered() -> None:
    assert current(*(record(name, seqid=0, lineage="x", luks="luks1") for name in "ab")) == ["a", "b"]


def test_forgotten_ones_pass_on_but_do_not_count() -> None:
    history = [record("a"), record("b", "a"), record("c", "b")]
    assert current(*history, forgotten=("b",)) == ["c"]
    assert current(*history, forgotten=("c",)) == ["b"]
    assert current(*history, forgotten=("b", "c")) == ["a"]
    assert current(*history, forgotten=("a", "b", "c")) == []


def test_parents_that_nobody_knows_do_no_harm() -> None:
    assert current(record("b", "gone")) == ["b"]


def test_a_device_that_went_back_makes_the_older_one_current() -> None:
    history = [record("a"), record("b", "a")]
    assert judge(history, {"a.seen-1": sighting("a", "b")}, []) == Lineage(["a.seen-1"], ["a"])
    forth = {"a.seen-1": sighting("a", "b"), "b.seen-1": sighting("b", "a.seen-1")}
    assert judge(history, forth, []) == Lineage(["b.seen-1"], ["b"])
    assert judge([*history, record("c", "a.seen-1")], {"a.seen-1": sighting("a", "b")}, []) == Lineage(["c"], ["c"])


def test_a_sighting_settles_what_was_open() -> None:
    assert current(record("a"), record("b"), seen=sighting("a", "a", "b")) == ["a"]


def test_a_sighting_of_nothing_stored_is_ignored() -> None:
    assert current(record("a"), seen=sighting("gone", "a")) == ["a"]


@pytest.mark.parametrize("forgotten", [(), ("c",)])
def test_circles_show_all_that_is_in_them(forgotten: tuple[str, ...]) -> None:
    """Two hosts saw a portable disk in two orders, and their stores met later."""
    circle = [record("a", "b"), record("b", "a")]
    assert current(*circle) == ["a", "b"]
    assert current(*circle, record("c", "b"), forgotten=forgotten) == (["a", "b"] if forgotten else ["c"])
    assert current(record("a", "a")) == ["a"]


def test_a_circle_does_not_hide_what_is_outside() -> None:
    assert current(record("a", "b"), record("b", "a"), record("z")) == ["a", "b", "z"]


def erased(backup_id: str, *parents: str) -> Record:
    """As a backup taken after ``luksErase``: encrypted data, no keyslot."""
    return record(backup_id, *parents, parameters={"keyslots": [{"slot": 0, "state": "inactive"}], "digests": [{}]})


def test_a_header_without_keyslots_is_never_current_over_one_with_some() -> None:
    """However it followed: no passphrase opens it."""
    assert current(record("a"), erased("b", "a")) == ["a"]
    assert current(record("a"), erased("b", "a"), erased("c", "b")) == ["a"]
    assert current(record("a"), erased("b", "a"), seen=sighting("b", "a")) == ["a"]
    assert current(record("a"), erased("b", "a"), record("c", "b")) == ["c"]
    assert current(record("a"), erased("b", "a"), forgotten=("a",)) == ["b"]


def test_a_record_that_does_not_tell_its_keyslots_is_not_taken_for_erased() -> None:
    """Nor is a volume that was decrypted on purpose: it has no digest."""
    assert current(record("a"), record("b", "a", parameters={})) == ["b"]
    assert current(record("a"), record("b", "a", parameters={"keyslots": [], "digests": []})) == ["b"]
