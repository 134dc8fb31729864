"""Renting out data: protecting it, granting and revoking access, using what others rent out, and the owner's ledger."""
