"""The only code that talks to a Kubernetes API server: dicts in, dicts out, errors a person can read."""
