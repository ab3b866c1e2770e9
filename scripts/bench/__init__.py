"""Measure what an electron costs, and what many at once do to Covalent's server.

    make bench                              all cases
    make bench ARGS="--only mass,data"      some of them
    make bench ARGS="--sizes 1,5"           other sizes of the case `cost`

Each case has a Covalent server and a local Braket of its own, in a folder that nobody else uses.
CPU time, memory and lag are those of the server's process alone: electrons run elsewhere. Calls
are counted by the local Braket where they arrive. Machines are noisy: compare the ratios within
one run, not seconds between runs.
"""
