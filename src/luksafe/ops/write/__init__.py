"""The one way to write to a user's disk: plan, save what is there, write, sync, read back, verify; then undo."""
