"""What the service is told: the options, their sources, and what they make of an upstream."""
