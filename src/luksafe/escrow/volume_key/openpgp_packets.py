"""OpenPGP's packets: a tag and a length, in the old and the new spelling (RFC 4880 section 4)."""

from __future__ import annotations

from luksafe.errors import DamagedInput

SESSION_KEY = 3
COMPRESSED = 8
ENCRYPTED = 9
LITERAL = 11
ENCRYPTED_WITH_MDC = 18
MDC = b"\xd3\x14"

MAX_BYTES = 1 << 20
MAX_PACKETS = 64


def parse_packets(data: bytes) -> list[tuple[int, bytes]]:
    """Tags and bodies; raises DamagedInput when a packet is cut off."""
    if len(data) > MAX_BYTES:
        raise DamagedInput(f"an OpenPGP message of {len(data)} bytes is no packet")
    packets: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data) and len(packets) < MAX_PACKETS:
        tag, body, at = _parse_packet(data, at)
        packets.append((tag, body))
    return packets


def _parse_packet(data: bytes, at: int) -> tuple[int, bytes, int]:
    first = data[at]
    if not first & 0x80:
        raise DamagedInput("this is no OpenPGP message")
    if first & 0x40:
        body, end = _new_body(data, at + 1)
        return first & 0x3F, body, end
    size = (1, 2, 4, 0)[first & 3]
    start = at + 1 + size
    length = int.from_bytes(_slice(data, at + 1, size), "big") if size else len(data) - start
    return first >> 2 & 15, _slice(data, start, length), start + length


def _new_body(data: bytes, at: int) -> tuple[bytes, int]:
    """A body with new-format lengths, perhaps in several parts."""
    body = b""
    while True:
        first = _slice(data, at, 1)[0]
        if first < 192:
            return body + _slice(data, at + 1, first), at + 1 + first
        if first < 224:
            length = ((first - 192) << 8) + _slice(data, at + 1, 1)[0] + 192
            return body + _slice(data, at + 2, length), at + 2 + length
        if first == 255:
            length = int.from_bytes(_slice(data, at + 1, 4), "big")
            return body + _slice(data, at + 5, length), at + 5 + length
        length = 1 << (first & 31)
        body += _slice(data, at + 1, length)
        at += 1 + length


def _slice(data: bytes, at: int, length: int) -> bytes:
    part = data[at : at + length]
    if len(part) != length:
        raise DamagedInput("the OpenPGP message is cut off")
    return part


def frame(tag: int, body: bytes) -> bytes:
    """A packet with a new-format length of five bytes."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body
