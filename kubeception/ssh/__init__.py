"""Secure Shell: scripts run on machines that are known by their host keys."""
