"""A worker's life beside its tasks: its owner's rules, pause and leave, the socket that its owner talks to, what it has earned."""
