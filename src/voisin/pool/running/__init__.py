"""A pool at work: the loop around the machine, what it takes in from chain and workers, and how it carries commands out."""
