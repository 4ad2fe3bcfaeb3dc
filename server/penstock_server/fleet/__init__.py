"""Which of several upstreams a call goes to, and what is known of each."""
