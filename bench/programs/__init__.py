"""Programs that run in the benchmark's containers: small peers of other protocols and libraries to measure against."""
