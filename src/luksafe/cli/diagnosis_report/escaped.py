"""Text from outside in HTML: no tag of it counts, and nothing of it hides or turns round what stands beside it."""

from __future__ import annotations

import html

from luksafe.visible import visible, visible_lines


def escape(text: str) -> str:
    """One line or a cell."""
    return html.escape(visible(text))


def escape_lines(text: str) -> str:
    """Several lines."""
    return html.escape(visible_lines(text))
