"""What somebody who can write to a store that is not the user's own gets from the verbs: nothing that counts."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from cli.conftest import World
from generators.headers import UUID, luks2_image

from luksafe.vault.document import encode_document
from luksafe.vault.image import pack
from luksafe.vault.record import Proof, Tombstone, encode, tag_of

WHOLE = luks2_image() + bytes(1 << 20)
WHEN = "2026-11-24T06:44:00Z"


@pytest.fixture
def nas(world: World) -> Path:
    """A store that others write to, beside two own ones, with the backup of ``disk.img``."""
    world.image("disk.img", WHOLE)
    world.stores(2)
    folder = world.folder / "nas"
    assert world.run("stores", "add", "nas", folder, "--not-own").status == 0
    assert world.run("backup", "disk.img").status == 0
    return folder


def backup_id(world: World) -> str:
    return str(world.run("list", "--json").json["backups"][0]["id"])


def reasons(world: World) -> dict[str, str]:
    report = world.run("check", "disk.img", "--json").json
    return {reason["code"]: reason["next"] for reason in [*report["volumes"][0]["reasons"], *report["stores"]]}


def thiefs_entry(world: World, nas: Path, entry_id: str = "000009-deadbeef") -> str:
    """An undo entry for ``disk.img`` whose old bytes a thief chose, made of a real one."""
    damaged = world.image("disk.img", bytes(4096) + WHOLE[4096:])
    assert world.run("--yes", "restore", UUID, damaged).status == 0
    (real,) = (world.vault / "undo").iterdir()
    planted = nas / "undo" / entry_id
    planted.parent.mkdir(exist_ok=True)
    shutil.copytree(real, planted)
    for path in [*planted.glob("mark-*"), planted / "manifest.json"]:
        members = json.loads(path.read_bytes())
        members.pop("sha256")
        path.write_bytes(encode_document(members | {"id": entry_id}))
    return entry_id


def test_a_forged_proof_makes_no_volume_safe(world: World, nas: Path) -> None:
    proof = Proof(id=backup_id(world), when=WHEN, method="its passphrase opened keyslot 0", keyslot=0, found="ext4")
    data = encode(proof)
    (nas / UUID / f"{proof.id}.proof-{tag_of(data)}.json").write_bytes(data)
    for _ in range(2):
        assert "unproven" in reasons(world)
        assert world.run("sync").status == 0
    assert not list(world.vault.rglob("*.proof-*"))
    assert world.run("prove", "disk.img", "--key-file", world.key_file).status in (0, 3)
    assert "unproven" not in reasons(world)


def test_a_forged_tombstone_removes_nothing_and_is_told(world: World, nas: Path) -> None:
    stone = Tombstone(id=backup_id(world), when=WHEN)
    (nas / UUID / f"{stone.id}.forgotten.json").write_bytes(encode(stone))
    synced = world.run("sync")
    assert synced.status == 3
    assert "counts for nothing" in synced.out
    assert reasons(world)["foreign-tombstone"] == "luksafe stores check"
    checked = world.run("stores", "check")
    assert checked.status == 10
    assert "counts for nothing" in checked.out
    assert "luksafe forget" not in synced.out + checked.out
    assert len(world.run("list", UUID, "--json").json["backups"]) == 1


def test_a_planted_undo_entry_is_not_offered(world: World, nas: Path) -> None:
    entry = thiefs_entry(world, nas)
    shutil.rmtree(world.vault / "undo")
    for store in ("store0", "state/luksafe"):
        shutil.rmtree(world.folder / store / "undo", ignore_errors=True)
    for mark in (nas / "undo" / entry).glob("mark-*"):
        mark.unlink()  # it would be an interrupted write
    assert "interrupted-write" not in reasons(world)
    assert world.run("undo", "disk.img", "--dry-run").status == 15
    assert world.run("restore", UUID, "disk.img", "--dry-run").status == 0
    (listed,) = world.run("undo", "disk.img", "--list", "--json").json["entries"]
    assert (listed["id"], listed["foreign_store"]) == (entry, "nas")


def test_a_named_entry_of_such_a_store_is_a_danger_with_an_option(world: World, nas: Path) -> None:
    entry = thiefs_entry(world, nas)
    before = (world.folder / "disk.img").read_bytes()
    refused = world.run("--yes", "undo", "disk.img", "--entry", entry)
    assert refused.status == 14
    assert "--allow-foreign-undo" in refused.err
    assert (world.folder / "disk.img").read_bytes() == before
    planned = world.run("undo", "disk.img", "--entry", entry, "--dry-run")
    assert planned.status == 14
    assert f"undo entry {entry} is in the store nas only, which is not your own" in planned.out
    assert world.run("--yes", "undo", "disk.img", "--entry", entry, "--allow-foreign-undo").status == 0
    assert (world.folder / "disk.img").read_bytes()[:4096] == bytes(4096)


def test_a_planted_number_stops_no_write(world: World, nas: Path) -> None:
    thiefs_entry(world, nas, "999999-deadbeef")
    assert world.run("--yes", "undo", "disk.img").status == 0
    assert world.run("--yes", "restore", UUID, "disk.img").status == 0


def test_a_named_own_entry_is_no_danger(world: World, nas: Path) -> None:
    thiefs_entry(world, nas)
    (mine,) = [e for e in world.run("undo", "disk.img", "--list", "--json").json["entries"] if not e["foreign_store"]]
    assert world.run("--yes", "undo", "disk.img", "--entry", mine["id"]).status == 0


@pytest.mark.parametrize(("answer", "own"), [("", True), ("n", False), ("No", False), ("y", True), ("what", False)])
def test_whether_a_store_is_own_is_asked_once(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: str, own: bool
) -> None:
    asked: list[str] = []

    def ask(prompt: str, hint: str = "") -> str:
        asked.append(prompt)
        return answer

    monkeypatch.setattr("luksafe.cli.stores.ask", ask)
    monkeypatch.setattr("luksafe.cli.stores._can_ask", lambda app: True)
    assert world.run("stores", "add", "usb", world.folder / "usb", "--json").json["own"] is own
    assert "is on a local disk" in asked[0]
    (entry,) = [row for row in world.run("stores", "--json").json["stores"] if row["name"] == "usb"]
    assert entry["own"] is own
    assert len(asked) == 1


def test_a_store_from_before_the_question_is_own_on_a_local_disk_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.stores(1)
    config = world.vault / "config.toml"
    config.write_text(config.read_text().replace("own = true\n", ""))
    for local in (True, False):
        monkeypatch.setattr("luksafe.device.location.is_local", lambda path, local=local: local)
        (row,) = [row for row in world.run("stores", "--json").json["stores"] if row["name"] == "s0"]
        assert row["own"] is local


def test_a_share_is_not_own_unless_the_user_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luksafe.cli.stores.is_local", lambda path: False)
    for name, options, own in (("share", (), False), ("mine", ("--own",), True)):
        assert world.run("stores", "add", name, world.folder / name, *options, "--json").json["own"] is own


def test_a_prepared_stick_removes_nothing_by_being_added(world: World, nas: Path) -> None:
    stick = world.folder / "stick"
    assert world.run("stores", "add", "tmp", stick, "--not-own").status == 0
    assert world.run("stores", "remove", "tmp").status == 0
    stone = Tombstone(id=backup_id(world), when=WHEN)
    (stick / UUID / f"{stone.id}.forgotten.json").write_bytes(encode(stone))
    refused = world.run("stores", "add", "stick", stick)
    assert (refused.status, "--not-own keeps them" in refused.err) == (14, True)
    assert len(world.run("list", UUID, "--json").json["backups"]) == 1
    assert world.run("stores", "add", "stick", stick, "--not-own").status == 0
    assert len(world.run("list", UUID, "--json").json["backups"]) == 1
    assert world.run("stores", "remove", "stick").status == 0
    assert world.run("stores", "add", "stick", stick, "--own").status == 0
    assert world.run("list", UUID, "--json").json["backups"] == []


def test_a_planted_header_of_the_device_is_never_current(world: World, nas: Path) -> None:
    """An image and a record that follows the current one: neither check nor restore is led to it."""
    mine = backup_id(world)
    (record_file,) = (nas / UUID).glob("????????????????????????????????.json")
    thief = luks2_image(label="thief")
    sha256 = hashlib.sha256(thief).hexdigest()
    members = json.loads(record_file.read_bytes())
    members.pop("sha256")
    changes = {"id": sha256[:32], "image_sha256": sha256, "image_size": len(thief), "parents": [mine], "label": "thief"}
    planted = encode_document(members | changes | {"seqid": 99, "kept": [[0, len(thief)]]})
    (nas / UUID / f"{sha256[:32]}.json").write_bytes(planted)
    (nas / UUID / f"{sha256[:32]}.hdr.gz").write_bytes(pack(thief))
    for _ in range(2):
        assert world.run("sync").status == 0
        listed = {b["id"]: (b["current"], b["foreign"]) for b in world.run("list", "--json").json["backups"]}
        assert listed == {mine: (True, False), sha256[:32]: (False, True)}
        assert "split" not in reasons(world)
        broken = world.image("broken.img", bytes(4096) + WHOLE[4096:])
        assert mine[:12] in world.run("restore", UUID, broken, "--dry-run", "--json").json["plan"]["source"]
    assert not list(world.vault.rglob(f"{sha256[:32]}*"))
