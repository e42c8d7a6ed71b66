"""The table: all rules in their order. The first that applies gives the verdict and every text."""

from __future__ import annotations

from luksafe.ops.diagnosis.rules import not_luks, of_keyslots, of_metadata, of_whole_headers, without_header
from luksafe.ops.diagnosis.rules.rule import Case, Rule

RULES: tuple[Rule, ...] = (
    not_luks.CONTAINER,
    *of_whole_headers.FIRST,
    *without_header.RULES,
    *of_whole_headers.BEFORE_KEYSLOTS,
    of_metadata.HEADER_CUT,
    *of_keyslots.RULES,
    *of_metadata.RULES,
    *of_whole_headers.LAST,
)


def decide(case: Case) -> Rule:
    """The first rule that applies; the last one of each kind leaves nothing over."""
    return next(rule for rule in RULES if rule.applies(case))
