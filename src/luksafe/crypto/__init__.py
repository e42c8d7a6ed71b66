"""Ciphers, hashes and key derivation: the only place that calls crypto libraries."""
