"""Active dm-crypt mappings: what the kernel knows of an open volume, whatever became of its header."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from luksafe.device.crypt_table import CryptTable, parse_crypt_parameters
from luksafe.device.device_mapper import read_table
from luksafe.device.opening import StrPath, real_path
from luksafe.device.stack import layers_above, layers_below, loop_devices_over
from luksafe.device.sysfs import BlockNode, all_nodes, node_of
from luksafe.device.usage import Use, find_uses
from luksafe.errors import LuksafeError, NotFound

_LUKS = re.compile(r"CRYPT-(LUKS[12])-([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})-.*", re.DOTALL)
_INNER_PARTS = ("CRYPT-SUBDEV-", "CRYPT-INTEGRITY-", "CRYPT-VERITY-")  # of a mapping, not mappings by themselves


@dataclass(frozen=True, slots=True)
class Mapping:
    """An active mapping. ``type`` is cryptsetup's (``LUKS1``, ``LUKS2``, ``PLAIN`` …), empty for a table set by hand.

    ``tables`` are the crypt targets in order; several during reencryption, when ``is_reencrypting``. ``device`` is
    what the ciphertext is on, below integrity and reencryption layers; ``stack`` all devices from there down.
    ``uses`` says who uses the mapping. ``problem`` says why there are no tables.
    """

    name: str
    path: str
    number: tuple[int, int]
    dm_uuid: str
    type: str
    luks_uuid: str
    size_bytes: int
    is_suspended: bool
    is_read_only: bool
    device: str
    stack: tuple[str, ...]
    tables: tuple[CryptTable, ...] = ()
    is_reencrypting: bool = False
    uses: tuple[Use, ...] = field(default=(), compare=False)
    problem: str = ""

    @property
    def is_key_wiped(self) -> bool:
        """Whether ``luksSuspend`` took the key out of the kernel."""
        return self.is_suspended and any(table.key.place == "zeros" for table in self.tables)

    def to_json(self) -> dict[str, Any]:
        """The mapping as a JSON object, without any key."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        tables = [table.to_json() for table in self.tables]
        return {**plain, "tables": tables, "uses": [asdict(use) for use in self.uses]}


def list_mappings() -> list[Mapping]:
    """The active crypt mappings, by device number. Without root their tables are missing, and ``problem`` says so."""
    return [mapping for node in all_nodes() if (mapping := _mapping(node)) is not None]


def find_mapping(name: str) -> Mapping:
    """The mapping of that name (or ``/dev/mapper/NAME``). Raises ``NotFound``, naming those that there are."""
    wanted = name.removeprefix("/dev/mapper/")
    found = list_mappings()
    for mapping in found:
        if mapping.name == wanted:
            return mapping
    there = ", ".join(mapping.name for mapping in found) or "none"
    raise NotFound(f"no active crypt mapping {wanted}", hint=f"active now: {there}")


def mappings_over(path: StrPath) -> list[Mapping]:
    """The crypt mappings that stand on a device or image file, at any height. Raises ``NotFound``."""
    real = str(real_path(path))
    node = node_of(real)
    bases = [node] if node else loop_devices_over(real)
    above = {up for base in bases for up in {base, *layers_above(base)}}
    return [mapping for up in sorted(above, key=lambda up: up.number) if (mapping := _mapping(up)) is not None]


def _mapping(node: BlockNode) -> Mapping | None:
    """The mapping that a device is; None for other devices and for the inner parts of a mapping."""
    name, dm_uuid = node.attribute("dm/name"), node.attribute("dm/uuid")
    if not name or dm_uuid.startswith(_INNER_PARTS):
        return None
    tables: tuple[CryptTable, ...] = ()
    inner: list[BlockNode] = []
    problem = ""
    try:
        tables = _crypt_tables(node)
        if not tables and dm_uuid.startswith("CRYPT-"):
            inner = [below for below in node.backing() if below.attribute("dm/uuid").startswith(_INNER_PARTS)]
            tables = tuple(table for part in inner for table in _crypt_tables(part))
    except LuksafeError as error:
        problem = f"{error} ({error.hint})" if error.hint else str(error)
    if not tables and not dm_uuid.startswith("CRYPT-"):
        return None
    luks = _LUKS.fullmatch(dm_uuid)
    return Mapping(
        name=name,
        path=node.path,
        number=node.number,
        dm_uuid=dm_uuid,
        type=dm_uuid.split("-")[1] if dm_uuid.startswith("CRYPT-") else "",
        luks_uuid="-".join(luks.groups()[1:]) if luks else "",
        size_bytes=node.size_bytes,
        is_suspended=node.attribute("dm/suspended") == "1",
        is_read_only=node.attribute("ro") == "1",
        device=_ciphertext_device(node),
        stack=tuple(below.path for below in layers_below(node)),
        tables=tables,
        is_reencrypting=bool(inner and tables),
        uses=tuple(find_uses(node.path)),
        problem=problem,
    )


def _crypt_tables(node: BlockNode) -> tuple[CryptTable, ...]:
    targets = read_table(*node.number)
    try:
        return tuple(
            parse_crypt_parameters(target.start_sector, target.length_sectors, target.parameters)
            for target in targets
            if target.type == "crypt"
        )
    finally:
        for target in targets:
            target.wipe()


def _ciphertext_device(node: BlockNode) -> str:
    outer = (below for below in layers_below(node) if not below.attribute("dm/uuid").startswith(_INNER_PARTS))
    return next((below.path for below in outer), "")
