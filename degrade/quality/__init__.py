"""Whether degraded images are what their parameters say: order in groups, measures, registration."""
