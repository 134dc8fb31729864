"""
What a pool remembers beyond its process: tables, their migrations, records as rows, and who holds which deal.

`memory` is the twin in memory of `store` and `claims`, for tests and simulations.
"""
