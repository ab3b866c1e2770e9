"""A Braket of our own on loopback: an emulator of the service that knows nothing of us."""
