"""Hybrid Jobs of the local Braket: their states, and the processes that run them."""
