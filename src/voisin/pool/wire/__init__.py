"""What a pool answers over HTTP: its own routes, those of the ecosystem's client, and the words in which it tells why."""
