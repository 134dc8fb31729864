"""A whole market on one machine, in one command."""

from voisin.box.service import Box, open_box
from voisin.box.settings import BoxSettings
from voisin.box.status import BoxStatus, ServiceStatus, box_status

__all__ = ["Box", "BoxSettings", "BoxStatus", "ServiceStatus", "box_status", "open_box"]
