"""How a pool is found and bought from: its offers in a market, its announcement in a directory, and which scheduler sees to them."""
