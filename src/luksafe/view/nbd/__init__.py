"""An NBD server for one export: newstyle fixed handshake, structured replies, block status."""
