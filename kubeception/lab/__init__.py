"""The lab: a real host cluster on one machine, for where there is none."""
