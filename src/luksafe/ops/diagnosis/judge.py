"""From facts to a diagnosis. Pure: it reads nothing but what was gathered."""

from __future__ import annotations

from collections.abc import Sequence

from luksafe.ops.describe import describe_header
from luksafe.ops.diagnosis.against_backup import find_contradiction
from luksafe.ops.diagnosis.culprits import find_fillings, find_structures
from luksafe.ops.diagnosis.data_part import judge_data
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.findings import collect_findings
from luksafe.ops.diagnosis.header_parts import judge_header_parts
from luksafe.ops.diagnosis.keyslot_parts import judge_keyslot_parts, states_of
from luksafe.ops.diagnosis.layout import VolumeLayout, lay_out_volume
from luksafe.ops.diagnosis.model import Diagnosis, Part, State, Verdict
from luksafe.ops.diagnosis.rules.commands import before_all, first_lines, mapped_avoid
from luksafe.ops.diagnosis.rules.of_whole_headers import is_decrypted
from luksafe.ops.diagnosis.rules.rule import Case
from luksafe.ops.diagnosis.rules.table import decide

SECRET_MEMBERS = ("digests", "tokens")
"""Left out of a report that goes to others: digests and salts help nobody there, tokens may hold addresses."""


def diagnose(facts: Facts) -> Diagnosis:
    """The diagnosis of what was gathered."""
    contradiction = find_contradiction(facts, facts.mended.header)
    layout = lay_out_volume(facts, contradiction)
    structures = find_structures(facts, layout)
    parts = [*judge_header_parts(facts, layout, contradiction), *judge_keyslot_parts(facts, layout, structures)]
    keyslots = states_of(parts, layout.header)
    # fillings are told of headers and key material only: elsewhere zeros and text may be as they should
    fillings = find_fillings(facts, parts, structures)
    culprits = [*structures, *fillings]
    case = Case(facts, layout, keyslots, culprits, contradiction)
    rule = decide(case)
    is_other = rule.verdict is Verdict.NOT_LUKS and not is_decrypted(facts.mended.header)
    has_no_header = rule.verdict is Verdict.UNSUPPORTED or facts.headers_elsewhere
    if is_other or (layout.header is None and has_no_header):
        parts, culprits = [], structures
        keyslots = [] if is_other else keyslots
    else:
        parts += _gaps(layout)
    if rule.verdict is not Verdict.NOT_LUKS:  # whose data are where they belong
        parts += judge_data(facts, layout, structures)
    parts.sort(key=lambda part: (part.start, part.end))
    return Diagnosis(
        target=facts.target,
        verdict=rule.verdict,
        rule=rule.code,
        headline=rule.headline or rule.verdict.value,
        summary=rule.summary(case),
        first=tuple(first_lines(facts, rule.verdict)),
        findings=tuple(collect_findings(facts, layout, parts, culprits, contradiction, rule.verdict)),
        parts=tuple(parts),
        keyslots=tuple(keyslots),
        culprits=tuple(culprits),
        next=tuple(dict.fromkeys((*before_all(case, rule.verdict), *rule.next(case)))),
        avoid=(*rule.avoid, *mapped_avoid(case, rule.verdict)),
        story=rule.story(case),
        ways=rule.ways,
        missing=rule.missing,
        parameters={} if is_other else _parameters(layout),
    )


def _parameters(layout: VolumeLayout) -> dict[str, object]:
    if layout.header is None:
        return {}
    described = {k: v for k, v in describe_header(layout.header).items() if k not in SECRET_MEMBERS}
    for keyslot in described["keyslots"]:
        if isinstance(keyslot.get("kdf"), dict):
            keyslot["kdf"] = {k: v for k, v in keyslot["kdf"].items() if k != "salt"}
    return {**described, "from": layout.source}


def _gaps(layout: VolumeLayout) -> Sequence[Part]:
    """Space of the header area that belongs to nothing."""
    gaps = [r for r in layout.regions if r.kind == "unused" and r.start > 0 and r.name]
    return [Part(r.kind, r.name, r.start, r.end, State.UNKNOWN, "belongs to nothing") for r in gaps]
