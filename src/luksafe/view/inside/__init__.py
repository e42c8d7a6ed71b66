"""What stands in a decrypted volume: partitions, logical volumes, filesystems."""
