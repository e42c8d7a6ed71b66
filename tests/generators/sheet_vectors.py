"""Writes ``tests/vectors/sheet/*.json``: payloads with the lines and codes that format 1 gives them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

import sheet_examples as examples  # noqa: E402

from luksafe.paper.qr import codes_of  # noqa: E402
from luksafe.paper.text import lines_of  # noqa: E402

VECTORS = {
    "recovery-key": examples.recovery_key,
    "share": examples.share,
    "volume-key": examples.volume_key,
    "packet-400-bytes": lambda: examples.packet(400),
    "header": examples.header,
}


def main() -> None:
    for name, make in VECTORS.items():
        content = make()
        vector = {
            "format": 1,
            "kind": content.kind.word,
            "sheet_id": content.sheet_id,
            "payload_hex": content.payload.reveal().hex(),
            "lines": [line.printed for line in lines_of(content.head, content.payload)],
            "codes": [code.text for code in codes_of(content.head, content.payload)],
        }
        path = TESTS / "vectors" / "sheet" / f"v1-{name}.json"
        path.write_text(json.dumps(vector, indent=1) + "\n")


if __name__ == "__main__":
    main()
