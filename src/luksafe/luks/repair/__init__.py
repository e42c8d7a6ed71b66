"""Repair: from the bytes of a damaged header to proposals that say what they change and why they are sure."""
