"""Secrets that other tools left behind, read: dumps of volume keys, recovery keys, exports of escrow servers."""
