"""``luksafe escrow``: one module for each of its verbs."""
