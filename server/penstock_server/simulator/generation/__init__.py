"""What the model says to a prompt, token by token, with probabilities."""
