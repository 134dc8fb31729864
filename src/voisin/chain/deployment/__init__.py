"""
Bringing a market up on a chain: what to send (`plan`), sending it so that it can be interrupted (`run`, `journal`, `standing`),
comparing what is there with what should be (`check`, `routes`), newer code (`upgrade`), a list for others to replay (`record`), and the
file that says where a market stands (`place`).
"""
