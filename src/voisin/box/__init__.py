"""
A whole market on one machine, in one command.

`voisin.box.service` opens it, `voisin.box.settings` says how it is set up, `voisin.box.status` tells from outside what runs. They are
imported one by one: whoever asks for the status does not load every service.
"""
