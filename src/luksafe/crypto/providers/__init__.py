"""The libraries that do the arithmetic: OpenSSL through ``cryptography``, and the system's libgcrypt."""
