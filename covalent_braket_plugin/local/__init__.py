"""A Braket of our own on loopback: an emulator of the service, which knows nothing of this package."""
