"""``config.toml`` of a vault: how many copies are wanted, and where the stores are (spec/vault.md, section 8)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from luksafe.errors import DamagedInput, NotFound, UsageError
from luksafe.vault.folder import Folder, RandomSource
from luksafe.vault.folder_store import HOME, make_store
from luksafe.vault.marker import MARKER, is_store_id, read_marker
from luksafe.wall import walled

CONFIG = "config.toml"
MAX_CONFIG_BYTES = 1 << 20
DEFAULT_COPIES = 3
DEFAULT_ABSENT_DAYS = 90

_HEADER = "# Where luksafe keeps copies. `luksafe stores add` adds a store; comments stay.\n"


class StoreEntry(msgspec.Struct, frozen=True):
    """One configured store: what the user calls it, its folder, the id in its marker.

    ``own``: whether nobody but the user writes there; None in a file from before luksafe asked (section 8).
    """

    name: str
    path: str
    id: str
    own: bool | None = None


class Config(msgspec.Struct, frozen=True):
    """``copies`` is how many stores, the home included, should hold each backup; ``absent_days`` for how long the
    device of a volume may be away before that is a warning."""

    copies: Annotated[int, msgspec.Meta(ge=1, le=100)] = DEFAULT_COPIES
    absent_days: Annotated[int, msgspec.Meta(ge=0, le=36500)] = DEFAULT_ABSENT_DAYS
    store: list[StoreEntry] = msgspec.field(default_factory=list)


def read_config(folder: Folder) -> Config:
    """The configuration of the vault in ``folder``; defaults when there is none. Raises ``UsageError`` for mistakes."""
    return _parse(folder, _text(folder))


def add_store(folder: Folder, name: str, path: Path, random: RandomSource, *, own: bool | None = None) -> StoreEntry:
    """Make ``path`` a store, or recognise it, and configure it under ``name``; comments in the file stay.

    The folder above it must exist. Raises ``UsageError`` when the name, path or store is configured already.
    """
    text = _text(folder)
    config = _parse(folder, text)
    path = path.absolute()
    if path == folder.path.absolute():
        raise UsageError("the vault itself is the store `home` already")
    _parse(
        folder, text + _table(StoreEntry(name, str(path), "0" * 32, own))
    )  # a mistake must show before anything is made
    entry = StoreEntry(name, str(path), make_store(path, random), own)
    if entry.id == _home_id(folder):
        raise UsageError(
            f"{path} is a copy of this vault, its marker included",
            hint=f"delete {path / MARKER} and add it again",
        )
    if others := [other.name for other in config.store if other.id == entry.id]:
        raise UsageError(f"{path} is the store {others[0]!r} already")
    _write(folder, (text or _HEADER) + _table(entry))
    return entry


def remove_store(folder: Folder, name: str) -> StoreEntry:
    """Take a store out of the configuration; what it holds stays. Raises ``NotFound``."""
    text = _text(folder)
    config = _parse(folder, text)
    entry = next((store for store in config.store if store.name == name), None)
    if entry is None:
        raise NotFound(f"no store is called {name!r}", hint="see their names: `luksafe stores`")
    wanted = msgspec.structs.replace(config, store=[store for store in config.store if store != entry])
    for start, end in _tables(text):
        shorter = text[:start] + text[end:]
        if _parses_to(shorter, wanted):
            _write(folder, shorter)
            return entry
    raise UsageError(f"{folder.path / CONFIG} is written in a way that cannot be edited here", hint="edit it by hand")


def _text(folder: Folder) -> str:
    try:
        return folder.read(CONFIG, MAX_CONFIG_BYTES).decode()
    except NotFound:
        return ""
    except (DamagedInput, UnicodeDecodeError) as error:
        raise UsageError(f"{folder.path / CONFIG} cannot be read: {error}", hint="look at it in an editor") from error


@walled("the configuration of the vault")
def _parse(folder: Folder, text: str) -> Config:
    """The configuration in ``text``. Raises ``UsageError`` that says what is wrong."""
    try:
        config = msgspec.convert(tomllib.loads(text), Config)
        _check(config)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError, ValueError) as error:
        raise UsageError(f"{folder.path / CONFIG}: {error}", hint="correct it in an editor") from error
    return config


def _check(config: Config) -> None:
    """Raise ``ValueError`` for what the types cannot say."""
    for store in config.store:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", store.name) or store.name == HOME:
            raise ValueError(f"{store.name!r} cannot be the name of a store")
        if not store.path.startswith("/") or "\0" in store.path:
            raise ValueError(f"the path of store {store.name!r} must be absolute")
        if not is_store_id(store.id):
            raise ValueError(f"the id of store {store.name!r} must be the 32 digits of its marker")
    for what in ("name", "path", "id"):
        values = [getattr(store, what) for store in config.store]
        if len(set(values)) < len(values):
            raise ValueError(f"two stores have the same {what}")


def _table(entry: StoreEntry) -> str:
    # JSON strings without control characters beyond its escapes are TOML strings
    values = {key: getattr(entry, key) for key in ("name", "path", "id", "own")}
    lines = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in values.items() if value is not None]
    return "\n[[store]]\n" + "\n".join(lines) + "\n"


def _tables(text: str) -> list[tuple[int, int]]:
    """Where the ``[[store]]`` tables begin and end in the file."""
    starts = [match.start() for match in re.finditer(r"^[ \t]*\[", text, re.MULTILINE)]
    ends = [*starts[1:], len(text)]
    return [(start, end) for start, end in zip(starts, ends) if re.match(r"[ \t]*\[\[[ \t]*store", text[start:end])]


def _parses_to(text: str, wanted: Config) -> bool:
    try:
        return msgspec.convert(tomllib.loads(text), Config) == wanted
    except (tomllib.TOMLDecodeError, msgspec.ValidationError):
        return False


def _home_id(folder: Folder) -> str:
    try:
        return read_marker(folder).store
    except (NotFound, DamagedInput):
        return ""


def _write(folder: Folder, text: str) -> None:
    folder.replace(CONFIG, text.encode())
