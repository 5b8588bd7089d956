"""Paging: recipients, contact methods, order, and how much one person gets at once."""

from paramedic.paging.pager import Pager
from paramedic.paging.recipients import OnCallBook

__all__ = ["OnCallBook", "Pager"]
