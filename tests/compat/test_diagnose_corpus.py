"""Every accident of the corpus: the verdict, the culprit by its name, the bytes, and nothing written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Corpus, load_corpus

from luksafe.ops.diagnosis.facts import gather
from luksafe.ops.diagnosis.judge import diagnose
from luksafe.ops.diagnosis.model import Diagnosis
from luksafe.ops.exchange import import_file
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace

Range = tuple[int, int]

OF_LEAST = {
    "as it is": "healthy",
    "repair": "repairable",
    "magic bytes": "repairable",
    "backup": "needs-backup",
    "backup (some passphrases open without it)": "needs-backup",
}
"""What the corpus says is needed at least, in our word."""
REPAIRABLE = (
    # one header copy is wrong or older, though cryptsetup opens the volume as it is
    *("csum-flip-primary", "json-flip-primary", "json-flip-secondary", "json-invalid-good-csum-primary"),
    *("magic-flip", "primary-older", "secondary-older", "primary-zeroed", "secondary-zeroed", "random-second-sector"),
    *("salt-flip-primary", "salt-flip-secondary", "same-seqid-different", "uuid-differs", "unknown-csum-alg"),
    *("zero-4k", "zero-512", "hash-upper", "uuid-zeroed"),
    # cryptsetup needs a backup where our repair finds the bits
    *("csum-flip-both", "json-flip-both", "hdr-offset-swapped", "gpt", "cipher-mode-upper", "cipher-name-flip"),
    *("keybytes-wrong", "keyslot0-active-flip", "keyslot1-offset-wrong", "stripes-wrong", "version-2"),
)
OTHERS = {
    "dmg-a-unknown-requirement": "unsupported",
    "dmg-a-version-3": "unsupported",
    # LUKS1 has one copy, so that these need a backup all the same
    **dict.fromkeys(("dmg-b-gpt", "dmg-b-zero-4k", "dmg-b-zero-512"), "needs-backup"),
    # what was done looks like what a user may want, or nothing on the device shows it
    **dict.fromkeys(("dmg-a-killed-slot0", "dmg-b-killed-slot0"), "healthy"),
    # discarded: no byte of the volume is left to say that there was one
    **dict.fromkeys(("dmg-a-mkfs-ext4-discard", "dmg-b-mkfs-ext4-discard"), "not-luks"),
}
BOTH_GOOD = (
    *("dmg-a-same-seqid-different", "dmg-a-uuid-differs", "dmg-a-primary-older", "dmg-a-secondary-older"),
    *("dmg-a-erased", "dmg-b-erased"),
)
"""Nothing is damaged, but one copy is older or another, or keyslots were removed by the book."""
JUDGED = ("binary-header", "json", "keyslot")
KEY_MATERIAL_BYTES = 128_000
ONLY_BY_BACKUP = (
    *("dmg-a-keyslot0-flip", "dmg-b-keyslot0-flip", "dmg-b-keyslot0-salt-flip", "dmg-b-mkdigest-flip"),
    *("dmg-b-mkdigest-salt-flip", "dmg-b-payload-offset-flip"),
)
"""Healthy by themselves: a few changed bytes that no checksum covers. A backup shows them."""
CULPRITS = {
    **{word: word.removeprefix("mkfs-") for word in ("mkfs-btrfs", "mkfs-ntfs", "mkfs-vfat")},
    "mkfs-ext4": "ext4",
    "mkswap": "swap",
    "pvcreate": "LVM2_member",
    "-md-": "linux_raid_member",
    "-gpt": "gpt",
    "-mbr": "dos",
    "bootcode": "boot-code",
    "wipefs": "zeros",
    "zero": "zeros",
    "random-second-sector": "pattern",  # that "random" is 0x82 all over
}
NO_CULPRIT_NEEDED = ("dmg-b-uuid-zeroed", "dmg-b-iterations-zero")


def expected_verdict(case: dict[str, Any], *, with_backup: bool) -> str:
    case_id = case["id"]
    if case_id in OTHERS:
        return "needs-backup" if case_id == "dmg-a-version-3" and with_backup else OTHERS[case_id]
    if case_id in ONLY_BY_BACKUP:
        return "needs-backup" if with_backup else "healthy"
    if case_id == "dmg-b-uuid-flip":
        return "repairable" if with_backup else "healthy"
    if any(case_id[6:] == word for word in REPAIRABLE):
        return "repairable"
    return OF_LEAST[case["recovery"]["least_that_opens_everything"]]


def expected_culprit(case_id: str) -> str | None:
    if case_id in NO_CULPRIT_NEEDED:
        return None
    return next((name for word, name in CULPRITS.items() if word in case_id), None)


def damage_ids() -> list[str]:
    found = load_corpus()
    return [c for c, case in found.cases.items() if case["family"] == "damage"] if found else []


@pytest.fixture(scope="session")
def corpus_vault(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A vault with the backups of both healthy volumes."""
    folder = tmp_path_factory.mktemp("vault")
    workspace = Workspace(folder / "vault", state_folder=folder / "state")
    for base in ("dmg-base-a", "dmg-base-b"):
        path = folder / f"{base}.img"
        path.write_bytes(corpus.data(base, "backup"))
        import_file(workspace, str(path))
    return workspace


def diagnose_case(corpus: Corpus, case_id: str, folder: Path, workspace: Workspace | None = None) -> Diagnosis:
    path = corpus.unpack(case_id, folder)["image"]
    before = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns
    workspace = workspace or Workspace(folder / "no-vault", state_folder=folder / "state")
    with open_target(workspace, str(path)) as target:
        diagnosis = diagnose(gather(workspace, target))
    assert (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) == before
    assert not (folder / "no-vault").exists()
    return diagnosis


@pytest.mark.parametrize("case_id", damage_ids())
def test_verdict_and_culprit(case_id: str, corpus: Corpus, tmp_path: Path) -> None:
    diagnosis = diagnose_case(corpus, case_id, tmp_path)
    culprit = expected_culprit(case_id)
    assert diagnosis.verdict.value == expected_verdict(corpus.cases[case_id], with_backup=False), diagnosis.summary
    assert diagnosis.overwritten_by == ((culprit,) if culprit else diagnosis.overwritten_by)
    if culprit is None and case_id != "dmg-a-json-invalid-good-csum-both":
        assert not diagnosis.overwritten_by
    assert diagnosis.next


@pytest.mark.slow  # two minutes for all of them
@pytest.mark.parametrize("case_id", damage_ids())
def test_verdict_and_bytes_with_a_backup_in_the_vault(
    case_id: str, corpus: Corpus, corpus_vault: Workspace, tmp_path: Path
) -> None:
    diagnosis = diagnose_case(corpus, case_id, tmp_path, corpus_vault)
    case = corpus.cases[case_id]
    assert diagnosis.verdict.value == expected_verdict(case, with_backup=True), diagnosis.summary
    if case_id in OTHERS or case_id in BOTH_GOOD or case["damage"]["size_damaged"] < case["damage"]["size_healthy"]:
        return
    wanted = list(differing(corpus, case_id, diagnosis))
    told = sorted((d.offset, d.end) for p in diagnosis.parts if p.kind in JUDGED for d in p.damage)
    assert not list(outside(wanted, told)), "damage that is not told"
    assert not list(outside(told, near(wanted))), "told where nothing is damaged"


def differing(corpus: Corpus, case_id: str, diagnosis: Diagnosis) -> Iterator[Range]:
    """Every byte that the accident changed in what is judged: header copies and key material (without filling)."""
    case = corpus.cases[case_id]
    there, healthy = corpus.data(case_id), corpus.data(case["damage"]["healthy"])
    for part in diagnosis.parts:
        if part.kind in JUDGED:
            end = min(part.end, part.start + KEY_MATERIAL_BYTES)
            yield from ((at, at + 1) for at in range(part.start, end) if there[at] != healthy[at])


def near(ranges: Sequence[Range]) -> list[Range]:
    """Wider by what a changed byte may be joined with, or by the sector in which it is seen."""
    return [(a // 512 * 512, -(-b // 512) * 512) for a, b in ranges]


def outside(ranges: Sequence[Range], cover: Sequence[Range]) -> Iterator[Range]:
    """What of ``ranges`` no range of ``cover`` holds."""
    covered = {at for a, b in cover for at in range(a, b)}
    for start, end in ranges:
        if any(at not in covered for at in range(start, end)):
            yield start, end
