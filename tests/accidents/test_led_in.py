"""Accidents over volumes of many shapes: the verdict is right, and what is printed, typed word for word, leads in."""

from __future__ import annotations

import random
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accidents.following import Person
from accidents.happenings import ANY, HAPPENINGS, IN_TABLE, Happening
from accidents.volumes import BASES, Base, Volume, volume
from compat.accidents import allowed_verdicts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed"),
]
EACH = 2
"""On how many bases each accident happens; every base has its share."""
FALSE_HOPE = ("all-zeros", "all-noise", "all-ff")


def cases() -> Iterator[tuple[str, str, bool]]:
    for happening in HAPPENINGS:
        fitting = [base for base in BASES if _fits(happening, base)]
        chosen = random.Random(zlib.crc32(happening.id.encode())).sample(fitting, min(EACH, len(fitting)))
        for base in chosen:
            yield happening.id, base.id, False
            yield happening.id, base.id, True


def _fits(happening: Happening, base: Base) -> bool:
    if happening.on == IN_TABLE or base.table:
        return happening.on == IN_TABLE and bool(base.table)
    return happening.on in (ANY, base.luks)


@pytest.mark.parametrize(("happening_id", "base_id", "with_backup"), list(cases()))
def test_accident(
    happening_id: str, base_id: str, with_backup: bool, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    happening = next(h for h in HAPPENINGS if h.id == happening_id)
    healthy = volume(next(base for base in BASES if base.id == base_id))
    person = Person(tmp_path, healthy)
    (tmp_path / "scratch").mkdir()
    person.image.write_bytes(healthy.disk)
    if with_backup:
        _keep(person, healthy)
    person.image.write_bytes(happening.change(healthy.disk, healthy))
    damaged = person.image.read_bytes()
    diagnosed = person.diagnose(person.name)
    assert person.image.read_bytes() == damaged
    allowed = _allowed(happening, healthy, damaged, with_backup)
    row = {
        "accident": f"{happening_id}{' + backup' if with_backup else ''}",
        "luks": base_id,
        "verdict": diagnosed["verdict"],
        "verdict_right": diagnosed["verdict"] in allowed,
        "culprit": ",".join(diagnosed["overwritten_by"]) or "-",
        "culprit_right": happening.culprit in diagnosed["overwritten_by"] if happening.culprit else None,
    }
    record_property("accident", row)
    wanted = happening.leads_in[with_backup]
    try:
        is_in = person.gets_in()
    finally:
        person.leave()
    record_property("led-in", {"accident": row["accident"], "luks": base_id, "wanted": wanted, "is_in": is_in})
    story = "\n".join([*person.log, str({k: diagnosed[k] for k in ("verdict", "summary", "next")})])
    assert not person.usage_errors, f"{person.usage_errors}\n{story}"
    assert is_in or not wanted, f"led in: {is_in}\n{story}"
    assert row["verdict_right"], f"{diagnosed['verdict']}, not {sorted(allowed)}\n{story}"
    assert row["culprit_right"] is not False, f"{row['culprit']}, not {happening.culprit}\n{story}"
    if happening_id in FALSE_HOPE:
        assert "brings it back" not in diagnosed["summary"], story
    _undone(person, damaged)


def _keep(person: Person, healthy: Volume) -> None:
    """A volume in a partition was backed up as the device that the partition is."""
    if not healthy.start:
        person.keep()
        return
    whole = person.image.read_bytes()
    person.image.write_bytes(whole[healthy.start : healthy.start + healthy.data_offset + len(healthy.plain)])
    person.image.rename(person.folder / "partition.img")
    person.name = "partition.img"
    person.keep()
    person.image.unlink()
    person.name = "disk.img"
    person.image.write_bytes(whole)


def _allowed(happening: Happening, healthy: Volume, damaged: bytes, with_backup: bool) -> frozenset[str]:
    if "*" not in happening.verdicts[with_backup]:
        return happening.verdicts[with_backup]
    allowed = set(allowed_verdicts(healthy.disk, damaged))
    if with_backup and "not-luks" in allowed:
        allowed = {"needs-backup"}
    return frozenset(allowed)


def _undone(person: Person, damaged: bytes) -> None:
    """Whatever was written is taken back to the byte."""
    if person.image.read_bytes() == damaged:
        return
    for _ in range(6):
        if person.image.read_bytes() == damaged:
            return
        undone = person.luksafe("undo", person.name, "--yes")
        if undone.status not in (0, 3):
            break
    assert person.image.read_bytes() == damaged, "\n".join(person.log)
