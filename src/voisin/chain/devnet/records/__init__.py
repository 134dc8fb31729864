"""The chain's file: its tables, the one writer, the reader of the past, and the forms that its hashes are made of."""
