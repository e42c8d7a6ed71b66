"""cryptsetup as oracle, both ways: we read what it makes, it opens what we export and restore."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from luksafe.cli.app import App
from luksafe.cli.main import main
from luksafe.luks.compare import compare
from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import unlock
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

CRYPTSETUP = shutil.which("cryptsetup", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
pytestmark = pytest.mark.skipif(CRYPTSETUP is None, reason="cryptsetup is not installed")
CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")


class Box:
    """A volume that cryptsetup made, and key files for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.image = folder / "volume.img"
        for name in ("one", "two", "three"):
            (folder / name).write_text(f"passphrase {name}")

    def cryptsetup(self, *arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(CRYPTSETUP), "-q", *map(str, arguments)], input=stdin, capture_output=True, cwd=self.folder
        )

    def make(self, *arguments: object, size: int = 20 << 20) -> None:
        with self.image.open("wb") as file:
            file.truncate(size)
        done = self.cryptsetup("luksFormat", *CHEAP, *arguments, "--key-file", "one", self.image)
        assert done.returncode == 0, done.stderr

    def look(self):
        return inspect(BytesReader(self.image.read_bytes()))

    def opens(self, name: str, image: Path | None = None, *options: object) -> bool:
        target = image or self.image
        done = self.cryptsetup("open", "--test-passphrase", "--key-file", name, *options, target)
        return done.returncode == 0

    def ours_opens(self, name: str) -> int | None:
        reader = BytesReader(self.image.read_bytes())
        try:
            return unlock(
                reader, inspect(reader).require_header(), SecretBytes((self.folder / name).read_bytes())
            ).keyslot
        except Exception:
            return None


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return Box(tmp_path)


def luksafe(*arguments: object) -> int:
    App._current = None
    with pytest.raises(SystemExit) as leave:
        main(["--vault", "vault", *map(str, arguments)])
    return int(leave.value.code or 0)


FORMATS = [
    ("--type", "luks1"),
    ("--type", "luks1", "--cipher", "aes-cbc-essiv:sha256", "--key-size", "128", "--hash", "sha1"),
    ("--type", "luks2"),
    ("--type", "luks2", "--luks2-metadata-size", "64k", "--luks2-keyslots-size", "512k"),
    ("--type", "luks2", "--luks2-metadata-size", "4m"),
    ("--type", "luks2", "--sector-size", "4096", "--offset", "32768"),
    ("--type", "luks2", "--sector-size", "512", "--label", "etikett äöü", "--subsystem", "s"),
    ("--type", "luks2", "--cipher", "aes-cbc-plain64", "--key-size", "256", "--hash", "sha512"),
]


@pytest.mark.parametrize("options", FORMATS, ids=[" ".join(o) for o in FORMATS])
def test_what_cryptsetup_formats_we_read_and_say_the_same(box, options):
    box.make(*options)
    seen = box.look()
    assert seen.all_findings == ()
    assert box.ours_opens("one") == 0
    assert box.ours_opens("two") is None
    header = seen.require_header()
    dumped = box.cryptsetup("luksUUID", box.image).stdout.decode().strip()
    assert header.uuid == dumped
    if header.format == "luks2":
        document = json.loads(box.cryptsetup("luksDump", "--dump-json-metadata", box.image).stdout)
        assert document == header.document


def steps(box: Box) -> list[tuple[str, tuple[object, ...], set[str]]]:
    token = box.folder / "token.json"
    token.write_text('{"type":"mine","keyslots":["0"],"deep":{"x":[1,2]}}')
    return [
        ("luksAddKey", (*CHEAP, "--key-file", "one", box.image, "two"), {"keyslot-added"}),
        ("luksChangeKey", (*CHEAP, "--key-file", "two", "--key-slot", "1", box.image, "three"), {"keyslot-changed"}),
        ("token import", ("token", "import", "--json-file", token, box.image), {"token-added"}),
        ("config", ("config", "--key-slot", "0", "--priority", "prefer", box.image), {"keyslot-priority-changed"}),
        ("config", ("config", "--label", "new", box.image), {"label-changed"}),
        ("luksKillSlot", ("--key-file", "one", box.image, "1"), {"keyslot-removed"}),
        ("token remove", ("token", "remove", "--token-id", "0", box.image), {"token-removed"}),
    ]


def test_each_change_by_cryptsetup_is_one_change_in_our_words(box):
    box.make("--type", "luks2")
    for name, arguments, codes in steps(box):
        before = box.look().require_header()
        verb = () if name.split()[0] in ("token", "config") else (name,)
        done = box.cryptsetup(*verb, *arguments)
        assert done.returncode == 0, (name, done.stderr)
        after = box.look()
        assert after.all_findings == (), name
        found = {change.code for change in compare(before, after.require_header())} - {"seqid-changed"}
        assert found >= codes, name
        assert found <= codes | {"keyslot-removed", "keyslot-added", "keyslot-changed"}, name


def test_converting_both_ways(box):
    box.make("--type", "luks1")
    before = box.look().require_header()
    assert box.cryptsetup("convert", "--type", "luks2", box.image).returncode == 0
    after = box.look()
    assert (after.format, after.all_findings) == ("luks2", ())
    assert "format-changed" in {c.code for c in compare(before, after.require_header())}
    assert box.ours_opens("one") == 0
    assert box.cryptsetup("convert", "--type", "luks1", box.image).returncode == 0
    assert box.look().format == "luks1"


@pytest.mark.parametrize("kind", ["luks1", "luks2"])
def test_a_stored_backup_opens_with_gunzip_and_cryptsetup_alone(box, kind):
    box.make("--type", kind)
    assert luksafe("backup", box.image) == 0
    packed = next(Path("vault").glob("*/*.hdr.gz"))
    if kind == "luks2":
        assert packed.stat().st_size < 400_000
    header = box.folder / "header.img"
    header.write_bytes(gzip.decompress(packed.read_bytes()))
    assert box.opens("one", box.image, "--header", header)
    assert not box.opens("two", box.image, "--header", header)


@pytest.mark.parametrize("kind", ["luks1", "luks2"])
def test_our_export_restored_by_cryptsetup_onto_a_wiped_image(box, kind):
    box.make("--type", kind)
    uuid = box.look().require_header().uuid
    assert luksafe("backup", box.image) == 0
    assert luksafe("export", uuid, "export.img") == 0
    good = box.image.read_bytes()
    wiped = bytearray(good)
    wiped[: 1 << 20] = bytes(1 << 20)
    box.image.write_bytes(bytes(wiped))
    done = box.cryptsetup("luksHeaderRestore", box.image, "--header-backup-file", "export.img")
    assert done.returncode == 0, done.stderr
    assert box.opens("one")
    record = json.loads(next(p for p in Path("vault", uuid).glob("*.json") if "-" not in p.stem).read_text())
    now = box.image.read_bytes()
    for offset, length in record["kept"]:
        assert now[offset : offset + length] == good[offset : offset + length]


@pytest.mark.parametrize("kind", ["luks1", "luks2"])
def test_cryptsetup_opens_what_we_restored(box, kind):
    box.make("--type", kind)
    uuid = box.look().require_header().uuid
    assert luksafe("backup", box.image) == 0
    wiped = bytearray(box.image.read_bytes())
    wiped[: 1 << 20] = bytes(1 << 20)
    box.image.write_bytes(bytes(wiped))
    assert luksafe("restore", uuid, box.image, "--yes") == 0
    assert box.opens("one")
    assert box.cryptsetup("luksDump", box.image).returncode == 0


@pytest.mark.parametrize("kind", ["luks1", "luks2"])
def test_a_backup_by_cryptsetup_is_imported_as_the_same_header(box, kind):
    box.make("--type", kind)
    assert box.cryptsetup("luksHeaderBackup", box.image, "--header-backup-file", "theirs.img").returncode == 0
    assert luksafe("import", "theirs.img") == 0
    assert luksafe("backup", box.image) == 0
    images = [gzip.decompress(p.read_bytes()) for p in Path("vault").glob("*/*.hdr.gz")]
    live = box.image.read_bytes()
    for image in images:
        assert image[:4096] == live[:4096]
        assert box.opens("one", box.image, "--header", _write(box.folder / "h.img", image))


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
