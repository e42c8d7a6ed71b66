"""What bytes are: superblocks by the names blkid gives them, statistics of sectors."""
