"""
What every service is made of: its database, its HTTP server and how it answers errors, its logs, its patience with clients.

It knows no market, pool or vault, only what they have in common. `vaults` is what pools and workers ask of a vault.
"""
