"""Backups as immutable files in several stores."""
