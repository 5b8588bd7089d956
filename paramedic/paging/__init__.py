"""Tells people: whom, by which way, in what order, and how much at once."""

from paramedic.paging.pager import Pager
from paramedic.paging.recipients import OnCallBook

__all__ = ["OnCallBook", "Pager"]
