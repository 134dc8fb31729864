"""
The pool's side of deals that are settled as a bag: tasks by the hundred, signed words, one root for all.

`machine` decides, `service` carries out, `store` remembers. What is said to workers stands in `voisin.protocol.bag_wire`.
"""
