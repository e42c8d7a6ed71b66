"""The LUKS1 and LUKS2 on-disk formats: bytes in, objects out; no files, devices or terminal."""
