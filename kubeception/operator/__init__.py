"""The engine around the clock: TenantCluster and NodePool objects are kept true as long as this process runs."""
