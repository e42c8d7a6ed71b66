"""A new header round a volume key that is known: from where the key comes, what proves it, what is written."""
