"""``luksafe show``: every parameter of a header."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

import click

from luksafe.cli.app import EXIT_WARNINGS, App, to_json, verb
from luksafe.cli.header_map import draw_map
from luksafe.cli.targets import header_option, target_argument
from luksafe.cli.terminal import echo, style
from luksafe.cli.text import bad, count, good, human_size, table
from luksafe.errors import DamagedInput
from luksafe.luks.areas import header_area_bytes, regions
from luksafe.luks.compare import luksmeta_of
from luksafe.luks.finding import Severity
from luksafe.luks.model import Header, Keyslot
from luksafe.luks.tokens import explain_token
from luksafe.luks.weaknesses import weaknesses
from luksafe.ops.describe import describe_finding, describe_inspection
from luksafe.ops.target import Target, open_target

_COLUMNS = 80


@verb
@target_argument
@header_option
@click.option("--map", "with_map", is_flag=True, help="Draw the layout to scale.")
@click.option("--raw", is_flag=True, help="The JSON of the header as it stands.")
def command(app: App, target: str, header_file: str | None, with_map: bool, raw: bool) -> int:
    """Show every parameter of a header: TARGET is a device, an image, a header file or a backup."""
    with open_target(app.workspace(), target, header_file) as opened:
        inspection = opened.inspection
        described = {**describe_inspection(inspection), "target": opened.description}
        weak = weaknesses(inspection.header) if inspection.header else ()
        described["findings"] += [describe_finding(finding) for finding in weak]
        if inspection.header is None:
            raise_with_result(opened, described)
        header = inspection.require_header()
        if raw:
            click.echo(to_json(header.document))
            return 0
        if with_map:
            layout = regions(inspection)
            described["regions"] = layout
        described["luksmeta"] = [
            {"slot": n.slot, "owner": n.owner} for n in luksmeta_of(header, opened.reader).values()
        ]
        app.emit(described, lambda: _print(app, opened, with_map))
        is_weak = any(finding.severity is Severity.ERROR for finding in weak)
        return EXIT_WARNINGS if inspection.is_refused or is_weak else 0


def raise_with_result(target: Target, result: dict[str, object]) -> None:
    """Raise the target's DamagedInput with the object that ``--json`` prints beside the error."""
    try:
        target.inspection.require_header()
    except DamagedInput as damaged:
        damaged.result = result
        raise


def _print(app: App, target: Target, with_map: bool) -> None:
    header = target.inspection.require_header()
    for line in _lines(app, target, header):
        echo(line)
    if with_map:
        echo()
        for line in draw_map(regions(target.inspection), colored=app.is_colored):
            echo(line)


def _lines(app: App, target: Target, header: Header) -> Iterable[str]:
    label = f'  "{header.label}"' if header.label else ""
    title = f"{header.format.upper()} volume {header.uuid or '(no UUID)'}{label}"
    yield style(title, bold=True) if app.is_colored else title
    yield from table(_facts(app, target, header), indent=2)
    if header.keyslots:
        yield "  keyslots"
        yield from table([_keyslot_row(header, k) for k in header.keyslots.values()], indent=4)
    for token in header.tokens.values():
        slots = ", ".join(map(str, token.keyslots)) or "none"
        yield f"  token {token.id}       {explain_token(token.type)} (keyslots: {slots})"
    for finding in (*target.inspection.findings, *weaknesses(header)):
        mark = "note" if finding.severity is Severity.INFO else finding.severity.value
        first, *more = wrap(f"{mark}: {finding.text}", _COLUMNS - 4, break_on_hyphens=False, break_long_words=False)
        yield f"  {bad(mark, colored=app.is_colored)}{first.removeprefix(mark)}"
        yield from (f"    {line}" for line in more)


def _facts(app: App, target: Target, header: Header) -> list[tuple[str, str]]:
    cipher = f"{header.encryption or 'none'}, {header.volume_key_size * 8}-bit volume key"
    rows = [
        ("from", target.description),
        ("cipher", f"{cipher}, sectors of {header.sector_size} bytes"),
        ("data", _data_words(header)),
        ("header", _header_words(app, target, header)),
    ]
    rows += [("integrity", words) for words in _integrity_words(header)]
    notes = luksmeta_of(header, target.reader).values()
    if notes:
        rows.append(("luksmeta", ", ".join(note.words for note in notes)))
    if header.subsystem:
        rows.append(("subsystem", header.subsystem))
    if header.config.flags:
        rows.append(("flags", ", ".join(header.config.flags)))
    if header.config.requirements:
        rows.append(("requires", ", ".join(header.config.requirements)))
    if header.is_in_reencryption:
        rows.append(("state", "in reencryption: finish it with 'cryptsetup reencrypt --resume-only'"))
    if header.is_erased:
        rows.append(("keyslots", "every keyslot is erased: only a backup or the volume key itself opens it"))
    return rows


def _integrity_words(header: Header) -> list[str]:
    """How the data are authenticated, once for each way."""
    found = [segment.integrity for segment in header.data_segments if segment.integrity]
    words = []
    for each in found:
        journal = [each.get("journal_encryption"), each.get("journal_integrity")]
        named = ", ".join(str(name) for name in journal if name and name != "none")
        words.append(f"{each.get('type')} in every sector" + (f", journal: {named}" if named else ""))
    return list(dict.fromkeys(words))


def _data_words(header: Header) -> str:
    segments = header.data_segments
    start = human_size(header.data_offset) if header.data_offset else "the first byte of the data device"
    if len(segments) > 1:
        return f"{count(len(segments), 'segment')}, from {start}"
    size = segments[0].size if segments else None
    tweak = f", IV offset {segments[0].iv_tweak} sectors" if segments and segments[0].iv_tweak else ""
    return f"from {start} {'to the end' if size is None else f'for {human_size(size)}'}{tweak}"


def _header_words(app: App, target: Target, header: Header) -> str:
    if header.format == "luks1":
        return f"one copy, {human_size(header_area_bytes(target.inspection))} with keyslots and gap"
    states = [
        f"{c.copy} {good('good', colored=app.is_colored) if c.state == 'ok' else bad(c.state, colored=app.is_colored)}"
        for c in target.inspection.copies
    ]
    size = human_size(header.header_size)
    return f"sequence id {header.seqid}, two copies of {size}: {', '.join(states)}"


def _keyslot_row(header: Header, keyslot: Keyslot) -> tuple[str, str, str, str]:
    kdf = keyslot.kdf
    if kdf is None:
        cost = keyslot.type
    elif kdf.type == "pbkdf2":
        cost = f"pbkdf2-{kdf.hash}, {kdf.iterations} iterations"
    else:
        cost = (
            f"{kdf.type}, {human_size((kdf.memory_kib or 0) * 1024)}, time {kdf.time}, {count(kdf.cpus or 0, 'lane')}"
        )
    digest = header.digest_of_keyslot(keyslot.id)
    notes = [{0: "ignored unless named", 2: "preferred"}.get(keyslot.priority, "")]
    if digest is None or not digest.segments:
        notes.append("unbound")
    notes += [explain_token(t.type) for t in header.tokens.values() if keyslot.id in t.keyslots]
    area = f"at {human_size(keyslot.area.offset)}" if keyslot.area else ""
    return str(keyslot.id), cost, area, "; ".join(note for note in notes if note)
