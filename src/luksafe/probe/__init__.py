"""What are these bytes? Knows no LUKS keys, no devices: any :class:`luksafe.reader.Reader` will do.

``recognise.recognise``                the known structures in a volume, named as blkid names them
``footprint.footprint``                what else the maker of such a structure must have written
``content.recognise_content``          what decrypted data holds, and whether it is sense or noise
``statistics``, ``sector_runs.runs``   which sectors look like cipher text, zeros, text …
"""
