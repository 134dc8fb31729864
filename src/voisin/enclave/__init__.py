"""
The enclave: the one program that sees secrets, in a confidential machine or, simulated, in a plain process.

It does one task and ends: makes a key, gets evidence over it from the hardware, opens what the vault sealed to it, runs the app in memory,
seals what comes out for its reader, signs, and forgets. It knows no chain, no storage and no network; what reaches it passes through a
worker, which is not trusted.
"""
