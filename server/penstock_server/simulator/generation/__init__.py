"""The output of the model for a prompt, token by token, with probabilities."""
