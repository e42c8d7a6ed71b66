"""The decrypted data, read-only: stream, files, FUSE, NBD."""
