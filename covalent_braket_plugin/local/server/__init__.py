"""How the local Braket is asked: HTTP, the service model's wire format, its limits, faults."""
