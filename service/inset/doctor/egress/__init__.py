"""Tries, from inside a running restricted server and from a browser's place, every way by which data could leave."""

from inset.doctor.egress.examination import examine as examine_egress
from inset.doctor.egress.options import add_egress_options, outside_of

__all__ = ["add_egress_options", "examine_egress", "outside_of"]
