"""The vault: keeps secrets for their owners, and hands them only to the enclaves of authorised tasks."""
