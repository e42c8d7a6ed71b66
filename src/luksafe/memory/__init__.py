"""Volume keys from memory: open an image, find AES key schedules, make candidates of them, and prove one."""
