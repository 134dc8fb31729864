"""What clients speak to the chain: JSON-RPC over HTTP and WebSocket, its methods, filters and subscriptions, and how values are written."""
