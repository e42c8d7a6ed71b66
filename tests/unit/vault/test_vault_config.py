from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from vault_samples import counted, make_vault, open_vault

from luksafe.errors import NotFound, StoreError, Unsupported, UsageError
from luksafe.vault.config import DEFAULT_COPIES, Config, add_store, read_config, remove_store
from luksafe.vault.document import encode_document
from luksafe.vault.folder import Folder
from luksafe.vault.folder_store import make_store, open_home, open_store
from luksafe.vault.marker import read_marker

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Folder]:
    store = open_home(tmp_path / "home", counted(), create=True)
    yield store.folder
    store.close()


def table(name: str = "usb", path: str = "/media/usb", store_id: str = ID) -> str:
    return f'[[store]]\nname = "{name}"\npath = "{path}"\nid = "{store_id}"\n'


def test_without_a_file_there_are_defaults(home: Folder) -> None:
    assert read_config(home) == Config(copies=DEFAULT_COPIES, store=[])


def test_adding_and_removing_leaves_comments_and_other_tables(home: Folder, tmp_path: Path) -> None:
    (tmp_path / "home" / "config.toml").write_text("# mine\ncopies = 2 # two\n\n[other]\nx = 1\n")
    first = add_store(home, "usb", tmp_path / "usb", counted("1"))
    second = add_store(home, "n\u0061s", tmp_path / "n'a\"s\\", counted("2"))
    assert read_config(home) == Config(copies=2, store=[first, second])
    assert remove_store(home, "usb") == first
    assert read_config(home) == Config(copies=2, store=[second])
    text = (tmp_path / "home" / "config.toml").read_text()
    assert text.startswith("# mine\ncopies = 2 # two\n\n[other]\nx = 1\n")
    with pytest.raises(NotFound):
        remove_store(home, "usb")


def test_a_new_file_says_what_it_is(home: Folder, tmp_path: Path) -> None:
    add_store(home, "usb", tmp_path / "usb", counted("1"))
    assert (tmp_path / "home" / "config.toml").read_text().startswith("# Where luksafe keeps copies")


def test_removing_one_of_several_takes_that_one_only(home: Folder, tmp_path: Path) -> None:
    entries = [add_store(home, name, tmp_path / name, counted(name)) for name in ("a", "b", "c")]
    path = tmp_path / "home" / "config.toml"
    path.write_text(path.read_text() + "[[store.note]]\n[last]\nx = 1\n")
    remove_store(home, "b")
    assert read_config(home).store == [entries[0], entries[2]]
    assert path.read_text().endswith("[[store.note]]\n[last]\nx = 1\n")


def test_a_store_can_be_added_to_a_home_with_a_damaged_marker(home: Folder, tmp_path: Path) -> None:
    (tmp_path / "home" / "luksafe-vault.json").write_bytes(b"torn")
    assert add_store(home, "usb", tmp_path / "usb", counted("1")).name == "usb"


def test_a_file_that_is_not_ours_to_edit_is_left(home: Folder, tmp_path: Path) -> None:
    text = f'store = [{{name = "usb", path = "/usb", id = "{ID}"}}]\n'
    (tmp_path / "home" / "config.toml").write_text(text)
    with pytest.raises(UsageError, match="cannot be edited here"):
        remove_store(home, "usb")
    with pytest.raises(UsageError):
        add_store(home, "nas", tmp_path / "nas", counted())
    assert (tmp_path / "home" / "config.toml").read_text() == text
    assert not (tmp_path / "nas").exists()


def test_a_table_that_cannot_be_cut_out_is_left(home: Folder, tmp_path: Path) -> None:
    note = 'note = """\n[[store]]\n"""\n'
    text = f'[[store]]\nname = "usb"\npath = "/usb"\nid = "{ID}"\n{note}'
    (tmp_path / "home" / "config.toml").write_text(text)
    with pytest.raises(UsageError, match="cannot be edited here"):
        remove_store(home, "usb")
    assert (tmp_path / "home" / "config.toml").read_text() == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("copies = 0", "copies"),
        ("copies = 'three'", "copies"),
        ("copies = \n", "line 1"),
        ("[[store]]\nname = 'x'", "path"),
        (table(name="home"), "cannot be the name"),
        (table(name="a/b"), "cannot be the name"),
        (table(path="media/usb"), "must be absolute"),
        (table(store_id="abc"), "32 digits"),
        (table() + table(path="/x", store_id="f" * 32), "same name"),
        (table() + table(name="x", store_id="f" * 32), "same path"),
        (table() + table(name="x", path="/x"), "same id"),
    ],
)
def test_mistakes_are_named(home: Folder, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "home" / "config.toml").write_text(text)
    with pytest.raises(UsageError, match=says) as raised:
        read_config(home)
    assert "config.toml" in str(raised.value)


def test_a_file_that_is_no_text_is_named(home: Folder, tmp_path: Path) -> None:
    (tmp_path / "home" / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        read_config(home)
    (tmp_path / "home" / "config.toml").unlink()
    (tmp_path / "home" / "config.toml").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="cannot be read"):
        read_config(home)


def test_a_store_is_added_once_and_recognised_again(home: Folder, tmp_path: Path) -> None:
    entry = add_store(home, "usb", tmp_path / "usb", counted("1"))
    assert json.loads((tmp_path / "usb" / "luksafe-vault.json").read_text())["store"] == entry.id
    with pytest.raises(UsageError, match="same name"):
        add_store(home, "usb", tmp_path / "other", counted("2"))
    (tmp_path / "moved").symlink_to(tmp_path / "usb")
    with pytest.raises(UsageError, match="is the store 'usb' already"):
        add_store(home, "usb2", tmp_path / "moved", counted("2"))
    with pytest.raises(UsageError, match="is the store `home` already"):
        add_store(home, "x", tmp_path / "home", counted("2"))
    remove_store(home, "usb")
    assert add_store(home, "again", tmp_path / "usb", counted("3")).id == entry.id


def test_a_copy_of_the_home_is_no_store(home: Folder, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    marker = (tmp_path / "home" / "luksafe-vault.json").read_bytes()
    (tmp_path / "copy" / "luksafe-vault.json").write_bytes(marker)
    with pytest.raises(UsageError, match="copy of this vault"):
        add_store(home, "copy", tmp_path / "copy", counted("2"))


def test_only_the_last_folder_of_a_store_is_made(home: Folder, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        add_store(home, "usb", tmp_path / "not" / "mounted", counted())
    assert not (tmp_path / "not").exists()
    assert read_config(home).store == []


def test_an_absent_store_is_never_made_by_opening(tmp_path: Path) -> None:
    make_vault(tmp_path, "usb", "nas").close()
    for path in (tmp_path / "usb").iterdir():
        path.unlink()  # the bare mount point
    (tmp_path / "nas" / "luksafe-vault.json").unlink()
    (tmp_path / "nas").rmdir()
    with open_vault(tmp_path) as vault:
        assert [store.name for store in vault.stores] == ["home"]
        assert [(away.name, away.where) for away in vault.away] == [
            ("usb", str(tmp_path / "usb")),
            ("nas", str(tmp_path / "nas")),
        ]
        assert "is it mounted?" in vault.away[0].why
        assert vault.away[0].hint == "mount it, then run the same command again"
    assert os.listdir(tmp_path / "usb") == []
    assert not (tmp_path / "nas").exists()


def test_another_store_at_the_path_is_not_taken_for_it(tmp_path: Path) -> None:
    make_vault(tmp_path, "usb", "nas").close()
    (tmp_path / "usb").rename(tmp_path / "drawer")
    (tmp_path / "nas").rename(tmp_path / "usb")
    with open_vault(tmp_path) as vault:
        assert [away.name for away in vault.away] == ["usb", "nas"]
        assert "holds another store" in vault.away[0].why


def test_a_store_of_the_future_is_refused(tmp_path: Path) -> None:
    make_vault(tmp_path, "usb").close()
    (tmp_path / "usb" / "luksafe-vault.json").write_bytes(encode_document({"format": 2, "store": ID}))
    with open_vault(tmp_path) as vault:
        assert "format 2" in vault.away[0].why
    with pytest.raises(Unsupported, match="format 2"):
        open_home(tmp_path / "usb", counted(), create=False)


def test_there_is_no_vault_until_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no vault at"):
        open_home(tmp_path / "deep" / "home", counted(), create=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="holds no vault"):
        open_home(tmp_path / "empty", counted(), create=False)
    open_home(tmp_path / "deep" / "home", counted(), create=True).close()
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700
    home = open_home(tmp_path / "deep" / "home", counted("else"), create=True)
    assert home.id == read_marker(home.folder).store
    assert home.damage == ""


def test_a_marker_that_names_no_store_is_damaged(tmp_path: Path) -> None:
    make_store(tmp_path / "usb", counted())
    (tmp_path / "usb" / "luksafe-vault.json").write_bytes(encode_document({"format": 1, "store": "x"}))
    store = open_store("usb", tmp_path / "usb", ID, counted())
    assert "names no store" in store.damage
    assert store.heal_marker()
    assert not store.heal_marker()
    assert read_marker(store.folder).store == ID
