"""Pure computation: a tenant from its spec and the facts observed. No I/O, no clock, no randomness of its own."""
