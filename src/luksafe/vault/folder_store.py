"""The store in a folder: a disk, a USB stick, a mounted share. Recognised by its marker, never made by opening."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from luksafe.errors import DamagedInput, NotFound, StoreError
from luksafe.vault.document import MAX_DOCUMENT_BYTES
from luksafe.vault.folder import Folder, RandomSource, sync_folder
from luksafe.vault.image import MAX_PACKED_BYTES
from luksafe.vault.marker import MARKER, read_marker, set_aside, write_marker
from luksafe.vault.name import SEALED, Kind, Name, is_volume, parse_name, stray_id
from luksafe.vault.packet import MAX_SEALED_BYTES
from luksafe.vault.trouble import explained

HOME = "home"


class FolderStore:
    """A store in a folder, whose marker was checked. Opening one never makes it: see ``open_store``, ``open_home``."""

    def __init__(self, name: str, folder: Folder, store_id: str, damage: str = "", *, is_own: bool = False) -> None:
        self.name = name
        self.folder = folder
        self.id = store_id
        self.damage = damage
        self.is_own = is_own

    def volumes(self) -> list[str]:
        """The volume folders, sorted."""
        return [folder for folder in self.folder.folders() if is_volume(folder)]

    def names(self, volume: str = "") -> list[Name]:
        """Every file of a known kind, sorted; of one volume folder when it is given."""
        folders = [volume] if volume else self.volumes()
        names = (parse_name(f"{folder}/{file}") for folder in folders for file in self.folder.files(folder))
        return sorted(name for name in names if name)

    def strays(self, volume: str) -> dict[str, str]:
        """Leftovers, files set aside and files of unknown kinds in a volume folder: their names, and whose they are."""
        paths = (f"{volume}/{file}" for file in self.folder.files(volume))
        return {path: owner for path in paths if (owner := stray_id(path))}

    def read(self, name: Name) -> bytes:
        """The whole file. Raises ``NotFound``; ``DamagedInput`` when it is too long or no plain file."""
        return self.folder.read(str(name), _limit_bytes(name))

    def create(self, name: Name, data: bytes) -> bool:
        """Store a new file durably, all or nothing, read back. False when the name is taken, whatever it holds."""
        return self.folder.create(str(name), data)

    def remove(self, name: Name | str) -> bool:
        """Delete a file or stray durably. False when there is none."""
        return self.folder.remove(str(name))

    def set_aside(self, name: Name) -> str:
        """Rename a damaged file so that it is no longer read; gives its new name. Raises ``NotFound``."""
        return set_aside(self.folder, str(name), _limit_bytes(name))

    def heal_marker(self) -> bool:
        """Write the marker anew when it is damaged. False when it is not."""
        healed = bool(self.damage) and write_marker(self.folder, self.id)
        self.damage = ""
        return healed

    def clean(self, now_seconds: float) -> list[str]:
        """Remove leftovers of killed writers older than a day; gives their names."""
        return [name for folder in ["", *self.volumes()] for name in self.folder.clean(folder, now_seconds)]

    def close(self) -> None:
        """Let go of the folder, so that it can be unmounted."""
        self.folder.close()


def open_store(name: str, path: Path, store_id: str, random: RandomSource, *, is_own: bool = False) -> FolderStore:
    """The store that the configuration names. Raises ``StoreError`` when it is away, ``Unsupported`` when too new."""
    folder = Folder(path, random)
    try:
        marker = read_marker(folder)
    except NotFound as error:
        raise StoreError(
            f"{path} holds no store (no {MARKER}): is it mounted?",
            code="store-away",
            hint="mount it, then run the same command again",
        ) from error
    except DamagedInput as error:
        return FolderStore(name, folder, store_id, str(error), is_own=is_own)
    if marker.store != store_id:
        raise StoreError(
            f"{path} holds another store ({marker.store[:8]}…) than {name} ({store_id[:8]}…)",
            code="store-away",
            hint=f"mount {name} there, or add the other one under a name of its own: `luksafe stores add`",
        )
    return FolderStore(name, folder, store_id, is_own=is_own)


def open_home(path: Path, random: RandomSource, *, create: bool) -> FolderStore:
    """The vault on this machine; with ``create`` it is made when absent. Raises ``NotFound`` when it is not there.

    A folder that holds backups but no good marker is opened all the same: a marker must not stand between a user and
    a header. ``damage`` then says so.
    """
    if create:
        for parent in [*reversed(path.parents), path]:
            _make_folder(parent)
        folder = Folder(path, random)
        if MARKER not in folder.files():
            write_marker(folder, random(16).hex())
    elif _is_folder(path):
        folder = Folder(path, random)
    else:
        raise NotFound(f"there is no vault at {path}", hint="make one: `luksafe backup DEVICE`")
    try:
        return FolderStore(HOME, folder, read_marker(folder).store, is_own=True)
    except (NotFound, DamagedInput) as error:
        home = FolderStore(HOME, folder, random(16).hex(), str(error), is_own=True)
    if not home.names() and MARKER not in folder.files():
        raise NotFound(f"{path} holds no vault", hint="make one: `luksafe backup DEVICE`")
    return home


def make_store(path: Path, random: RandomSource) -> str:
    """Make the folder ``path`` a store, or recognise it as one; gives its id. Its parent must exist already."""
    if not path.parent.is_dir():
        raise StoreError(
            f"{path.parent} is not there",
            code="store-away",
            hint="make or mount that folder, then run the same command again",
        )
    _make_folder(path)
    folder = Folder(path, random)
    try:
        write_marker(folder, random(16).hex())
        return read_marker(folder).store
    finally:
        folder.close()


def _make_folder(path: Path) -> None:
    """Make one folder, durably, unless it is there."""
    if _is_folder(path):
        return
    with explained(path):
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_folder(parent)
        finally:
            os.close(parent)


def _is_folder(path: Path) -> bool:
    """Whether it is there. Raises ``StoreError`` where that cannot be told: it may hold everything."""
    with explained(path):
        try:
            return stat.S_ISDIR(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False


def _limit_bytes(name: Name) -> int:
    if name.kind in SEALED:
        return MAX_SEALED_BYTES
    return MAX_PACKED_BYTES if name.kind is Kind.IMAGE else MAX_DOCUMENT_BYTES
