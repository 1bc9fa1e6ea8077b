"""Observe, plan, apply, report: the only place that loops, used alike by the command line and by an operator."""
