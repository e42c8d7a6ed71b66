"""Sealed packets that hold a volume key or a passphrase."""
