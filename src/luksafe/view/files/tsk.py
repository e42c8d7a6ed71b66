"""ext2/3/4, NTFS, FAT, exFAT, HFS+ and ISO 9660 through The Sleuth Kit (extra ``files``: pytsk3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luksafe.errors import DamagedInput, Unsupported
from luksafe.extras import install_hint
from luksafe.reader import Reader
from luksafe.view.files.node import Entry, EntryKind, Node, raw_name

FILESYSTEMS = frozenset(
    {"ext2", "ext3", "ext4", "ext4dev", "ntfs", "vfat", "exfat", "hfs", "hfsplus", "iso9660", "ufs"}
)
FAT_LABEL_SUFFIX = b" (Volume Label Entry)"
NTFS_SYSTEM_INODES = range(16)


def open_tsk(reader: Reader, content: str) -> Node:
    """The root of a filesystem. Raises ``Unsupported`` without pytsk3, ``DamagedInput`` where it cannot be read."""
    try:
        import pytsk3
    except ImportError:
        raise Unsupported(
            f"reading files of {content} needs pytsk3",
            hint=f"{install_hint('files')}; or mount it: luksafe mount, then mount -o ro,loop",
        ) from None
    try:
        filesystem = pytsk3.FS_Info(_image(pytsk3, reader))
        return _TskNode(pytsk3, filesystem.open_dir("/"), None, b"/", content == "ntfs")
    except OSError as error:
        raise DamagedInput(
            f"the {content} filesystem cannot be read: {error}",
            hint="try: luksafe serve --overlay FILE, then fsck on what it serves",
        ) from None


def _image(pytsk3: Any, reader: Reader) -> Any:
    class Image(pytsk3.Img_Info):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

        def read(self, offset: int, length: int) -> bytes:
            return reader.read_at(offset, length)

        def get_size(self) -> int:
            return reader.size_bytes

        def close(self) -> None:
            """Nothing of ours is closed here."""

    return Image()


class _TskNode:
    """A node; ``folder`` is its opened directory, for the root only, ``file`` the file object of all others."""

    def __init__(self, pytsk3: Any, folder: Any, file: Any, name: bytes, is_ntfs: bool) -> None:
        self._pytsk3 = pytsk3
        self._folder = folder
        self._file = file
        self._is_ntfs = is_ntfs
        self.entry = self._describe(name)

    def _describe(self, name: bytes) -> Entry:
        meta = self._file.info.meta if self._file else None
        if meta is None:
            kind = EntryKind.OTHER if self._file else EntryKind.FOLDER
            return Entry(name, kind, 0, 0o755, 0, 0 if self._file else -1)
        types = {
            self._pytsk3.TSK_FS_META_TYPE_REG: EntryKind.FILE,
            self._pytsk3.TSK_FS_META_TYPE_DIR: EntryKind.FOLDER,
            self._pytsk3.TSK_FS_META_TYPE_LNK: EntryKind.LINK,
        }
        kind = types.get(meta.type, EntryKind.OTHER)
        target = raw_name(meta.link) if kind is EntryKind.LINK and meta.link else b""
        mtime_ns = int(meta.mtime) * 10**9 + int(meta.mtime_nano)
        return Entry(name, kind, max(0, int(meta.size)), int(meta.mode) & 0o7777, mtime_ns, int(meta.addr), target)

    def children(self) -> Iterator[Node]:
        for file in self._folder or self._file.as_directory():
            found = file.info.name
            if found is None or self._is_hidden(found):
                continue
            yield _TskNode(self._pytsk3, None, file, raw_name(found.name), self._is_ntfs)

    def _is_hidden(self, found: Any) -> bool:
        """Deleted names, ``.`` and ``..``, and what The Sleuth Kit or NTFS add of their own."""
        is_deleted = int(found.flags) & int(self._pytsk3.TSK_FS_NAME_FLAG_UNALLOC)
        virtual = (self._pytsk3.TSK_FS_NAME_TYPE_VIRT, self._pytsk3.TSK_FS_NAME_TYPE_VIRT_DIR)
        is_system = self._is_ntfs and found.meta_addr in NTFS_SYSTEM_INODES and found.name.startswith(b"$")
        is_label = found.name.endswith(FAT_LABEL_SUFFIX)
        return bool(is_deleted or found.type in virtual or is_system or is_label or found.name in (b".", b".."))

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        length = min(length_bytes, self.entry.size_bytes - offset_bytes)
        return bytes(self._file.read_random(offset_bytes, length)) if length > 0 else b""
