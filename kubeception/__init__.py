"""Kubernetes clusters inside Kubernetes: control planes as pods, workers as virtual machines."""

__version__ = "0.1.0"
