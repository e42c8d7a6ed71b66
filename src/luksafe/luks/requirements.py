"""The requirements that a LUKS2 header may name: a tool that does not know one must leave the volume alone."""

from __future__ import annotations

from collections.abc import Sequence

REENCRYPTION_REQUIREMENTS = frozenset(
    {"offline-reencrypt", "online-reencrypt", "online-reencrypt-v2", "online-reencrypt-v3"}
)
OPAL_REQUIREMENTS = frozenset({"opal", "opal-v2"})
"""The drive encrypts by itself; ``opal-v2``: in single user mode, where its administrator cannot unlock the range."""
INLINE_TAGS = "inline-hw-tags"
KNOWN_REQUIREMENTS = REENCRYPTION_REQUIREMENTS | OPAL_REQUIREMENTS | {INLINE_TAGS}
"""All that cryptsetup's development tree of June 2026 (after 2.8.6) knows."""


def unknown_requirements(names: Sequence[str]) -> list[str]:
    """The requirements that stop this and every other known tool."""
    return [name for name in names if name not in KNOWN_REQUIREMENTS]


def opal_requirement(names: Sequence[str]) -> str:
    """The requirement that says that the drive encrypts by itself; empty when there is none."""
    return next((name for name in names if name in OPAL_REQUIREMENTS), "")
