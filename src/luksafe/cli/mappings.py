"""``luksafe mappings``: what the kernel knows of open volumes, and whether their headers are still there."""

from __future__ import annotations

from collections.abc import Iterator

import click

from luksafe.cli.app import EXIT_NEGATIVE, App, verb
from luksafe.cli.text import bad, good, human_size
from luksafe.device.crypt_table import CryptTable
from luksafe.device.mappings import Mapping, find_mapping, list_mappings
from luksafe.ops.mapping_header import MappingHeader, judge_header
from luksafe.ops.rebuild.mapped import describe_key


@verb
@click.argument("name", required=False)
def command(app: App, name: str | None) -> int:
    """The active crypt mappings (or the one called NAME): cipher, key, offsets, device, header, what uses them.

    Exit status 10 when the header of one is damaged, gone, or not the one that opened it.
    """
    found = [(m, judge_header(m)) for m in ([find_mapping(name)] if name else list_mappings())]
    result = [{**m.to_json(), "header": {"state": h.state, "text": h.text, "next": h.next}} for m, h in found]
    app.emit({"mappings": result}, lambda: _lines(app, found))
    return 0 if all(header.is_whole or header.state == "unknown" for _, header in found) else EXIT_NEGATIVE


def _lines(app: App, found: list[tuple[Mapping, MappingHeader]]) -> Iterator[str]:
    if not found:
        yield "no crypt mapping is active"
    for mapping, header in found:
        yield from _mapping_lines(app, mapping, header)


def _mapping_lines(app: App, mapping: Mapping, header: MappingHeader) -> Iterator[str]:
    state = ", suspended" if mapping.is_suspended else ""
    read_only = ", read-only" if mapping.is_read_only else ""
    yield f"{mapping.name}: {mapping.type or 'set by hand'}, {human_size(mapping.size_bytes)}{state}{read_only}"
    if mapping.luks_uuid:
        yield f"  uuid     {mapping.luks_uuid}"
    yield f"  device   {' on '.join(mapping.stack) or 'unknown'}"
    if mapping.problem:
        yield f"  table    not readable: {mapping.problem}"
    if mapping.is_reencrypting:
        yield "  table    in reencryption: each part has a key of its own"
    for table in mapping.tables:
        yield from _table_lines(table)
    if mapping.is_key_wiped:
        yield "  key      wiped by luksSuspend: only luksResume with a header brings it back"
    word = (good if header.is_whole else bad)(header.state, colored=app.is_colored)
    yield f"  header   {word}: {header.text}"
    for use in mapping.uses:
        yield f"  in use   {use.detail}"
    if header.next:
        yield f"  next     {header.next}"


def _table_lines(table: CryptTable) -> Iterator[str]:
    yield f"  cipher   {table.cipher}, {table.key.size_bytes * 8} bits, sectors of {table.sector_size} bytes"
    yield (
        f"  data     from byte {table.offset_sectors * 512} of the device, {human_size(table.length_sectors * 512)}, "
        f"IV offset {table.iv_offset_sectors}"
    )
    if table.integrity_tag_bytes:
        yield f"  tags     {table.integrity_tag_bytes} bytes for each sector ({table.integrity_type})"
    if table.flags or table.other_options:
        yield f"  flags    {' '.join((*table.flags, *table.other_options))}"
    yield f"  key      {describe_key(table)}"
