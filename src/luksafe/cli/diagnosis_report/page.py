"""The report as one HTML page: verdict, what to do, the picture, parts, findings, parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from luksafe import __version__
from luksafe.cli.diagnosis_report.escaped import escape, escape_lines
from luksafe.luks.finding import Finding, Severity
from luksafe.ops.diagnosis.model import Diagnosis, Verdict
from luksafe.visible import visible

ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
SHOWN_PARAMETERS = (
    *("format", "uuid", "label", "subsystem", "seqid", "cipher", "key_bits", "sector_size", "data_offset"),
    *("header_size", "keyslots_size", "checksum_algorithm", "requirements", "flags", "from"),
)

STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,sans-serif;color:#1d2733;background:#f6f7f9;margin:0}
main{max-width:984px;margin:0 auto;padding:24px 16px 48px}
section{background:#fff;border:1px solid #dde1e6;border-radius:8px;padding:16px 20px;margin:16px 0;overflow-x:auto}
h1{font-size:20px;margin:0 0 4px;overflow-wrap:anywhere}h2{font-size:16px;margin:0 0 10px}
.verdict{display:inline-block;padding:2px 12px;border-radius:999px;color:#fff;font-weight:600;letter-spacing:.02em}
.healthy{background:#2a7f62}.repairable{background:#9a6b00}.not-luks,.unsupported{background:#56606b}
.needs-backup,.needs-key,.lost{background:#b03a2e}
.first{background:#fdecea;border-color:#e6a39b;font-weight:600}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:4px 12px 4px 0;border-bottom:1px solid #edeff2}
td{overflow-wrap:break-word}
th{font-weight:600;color:#56606b;white-space:nowrap}
td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
.error,.warning,.intact,.suspect,.destroyed,.inactive{white-space:nowrap}
.error,.destroyed{color:#b03a2e;font-weight:600}.warning,.suspect{color:#8a5f00;font-weight:600}
.intact{color:#2a7f62}
pre{background:#f0f2f5;border-radius:6px;padding:10px 12px;margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.avoid{color:#8a5f00;font-weight:600}
svg{max-width:100%;height:auto}footer{color:#56606b;font-size:13px}
@media (max-width:640px){
main{padding:8px 8px 24px}section{padding:12px}
thead{display:none}table:has(thead th) :is(tbody,tr,td){display:block}
table:has(thead th) td{border:0;padding:1px 0 1px 88px;white-space:normal;overflow-wrap:anywhere}
table:has(thead th) tr{border-bottom:1px solid #edeff2;padding:6px 0}
td[data-name]::before{content:attr(data-name);float:left;margin-left:-88px;color:#56606b;font-weight:400}
}
@media print{
body{background:none}main{padding:0}.verdict{print-color-adjust:exact}
section{overflow:visible}tr,h2,svg{break-inside:avoid}h2{break-after:avoid}
td.n{white-space:normal}
}
"""


def render_page(diagnosis: Diagnosis, drawing: str) -> str:
    """The page. Everything from outside is escaped; there is no script, and nothing is loaded."""
    title = f"Diagnosis: {diagnosis.target}"
    sections = [
        _head(diagnosis),
        *(_section("", f"<div>{escape(line)}</div>", "first") for line in diagnosis.first),
        _next(diagnosis),
        _section("Map", drawing),
        _parts(diagnosis),
        _keyslots(diagnosis),
        _culprits(diagnosis),
        _findings(diagnosis),
        _parameters(diagnosis.parameters),
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{''.join(sections)}"
        f"<footer>luksafe {escape(__version__)}. Made read-only. Holds no key, no passphrase and no byte of key"
        " material: only places, statistics and what the header says openly.</footer></main></body></html>\n"
    )


def _section(title: str, body: str, kind: str = "") -> str:
    head = f"<h2>{escape(title)}</h2>" if title else ""
    return f"<section class='{kind}'>{head}{body}</section>" if body else ""


def _head(diagnosis: Diagnosis) -> str:
    verdict = diagnosis.verdict.value
    overwritten = ", ".join(diagnosis.overwritten_by)
    what = "Holds" if diagnosis.verdict is Verdict.NOT_LUKS else "Overwritten by"
    more = f"<p>{what}: <b>{escape(overwritten)}</b></p>" if overwritten else ""
    body = f"<h1>{escape(diagnosis.target)}</h1><span class='verdict {verdict}'>{escape(diagnosis.headline)}</span>"
    return _section("", f"{body}<p>{escape(diagnosis.summary)}</p>{more}<p>{escape(diagnosis.story)}</p>")


def _next(diagnosis: Diagnosis) -> str:
    commands = "\n".join(map(visible, diagnosis.next))
    avoid = "".join(f"<p class='avoid'>Not: {escape(line)}</p>" for line in diagnosis.avoid)
    title = "What to do next" if diagnosis.verdict is not Verdict.HEALTHY else "What may come next"
    return _section(title, f"<pre>{escape_lines(commands)}</pre>{avoid}" if commands or avoid else "")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """``rows`` are cells already escaped, with their tags; where the window is narrow each shows its name before it."""
    named = (
        [cell.replace("<td", f"<td data-name='{escape(n)}'", 1) for n, cell in zip(head, row, strict=True)]
        for row in rows
    )
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in (named if head else rows))
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>" if body else ""


def _cell(text: object, kind: str = "") -> str:
    return f"<td class='{kind}'>{escape(str(text))}</td>"


def _parts(diagnosis: Diagnosis) -> str:
    rows = [
        (
            _cell(p.name),
            _cell(f"{p.start} – {p.end}", "n"),
            _cell(p.state.value, p.state.value),
            _cell(", ".join(f"{d.offset} – {d.end} {d.looks}" for d in p.damage[:12]) or "–"),
            _cell(p.why),
        )
        for p in diagnosis.parts
        if p.kind != "unused" or p.damage
    ]
    return _section("Parts", _table(("part", "bytes", "state", "damaged", "why"), rows))


def _keyslots(diagnosis: Diagnosis) -> str:
    rows = [
        (_cell(k.slot, "n"), _cell(k.state.value, k.state.value), _cell(k.sure), _cell(k.why))
        for k in diagnosis.keyslots
        if k.state.value != "inactive"
    ]
    return _section("Keyslots", _table(("keyslot", "state", "sure", "why"), rows))


def _culprits(diagnosis: Diagnosis) -> str:
    rows = []
    for culprit in diagnosis.culprits:
        hits = "; ".join(f"{h.where}: {h.offset} – {h.offset + h.length} {h.what}" for h in culprit.hits[:8])
        place = f"{culprit.offset} – {culprit.offset + culprit.length}"
        rows.append(
            (
                _cell(culprit.name),
                _cell(place, "n"),
                _cell(culprit.confidence),
                _cell(culprit.evidence),
                _cell(hits or "–"),
            )
        )
    return _section("By what", _table(("what", "seen at", "confidence", "evidence", "also written"), rows))


def _findings(diagnosis: Diagnosis) -> str:
    rows = [
        (
            _cell(f.severity.value, f.severity.value),
            _cell(f.code),
            _cell(_place(f), "n"),
            _cell(f.text),
        )
        for f in sorted(diagnosis.findings, key=lambda f: ORDER[f.severity])
    ]
    return _section("Findings", _table(("severity", "code", "bytes", "what"), rows))


def _place(finding: Finding) -> str:
    if finding.offset is None:
        return "–"
    return f"{finding.offset} – {finding.offset + finding.length}" if finding.length else f"from {finding.offset}"


def _parameters(parameters: dict[str, Any]) -> str:
    rows = [
        (f"<th>{escape(name.replace('_', ' '))}</th>", _cell(_shown(parameters[name])))
        for name in SHOWN_PARAMETERS
        if parameters.get(name) not in (None, "", [])
    ]
    return _section("Parameters", _table((), rows))


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
