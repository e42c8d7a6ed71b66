"""The LUKS1 and LUKS2 on-disk formats: bytes in, objects out; no files, devices or terminal.

``inspection.inspect`` looks at a volume, ``unlock.unlock`` opens a keyslot, ``compact.capture`` takes a header image,
``compare.compare`` says what changed.
"""
