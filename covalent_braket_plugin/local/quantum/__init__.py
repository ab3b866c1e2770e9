"""Quantum tasks of the local Braket: devices, circuits, and the simulators they run on."""
