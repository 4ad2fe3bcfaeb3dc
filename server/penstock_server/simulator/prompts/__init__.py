"""What a request has to say to the model: messages, media and texts, as tokens that fit."""
