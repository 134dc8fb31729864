"""Simulated enclaves: a process for each task that alone gets its secrets, and keeps the protocol of a real one."""
