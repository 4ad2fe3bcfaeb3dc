"""The replicas of all upstreams: what is known about each, and which one a call goes to."""
