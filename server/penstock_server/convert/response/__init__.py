"""Responses: by way of chat completions, or by the upstream's own Responses API.

`request` and `input` make a chat request of a response request; `answer`, `choice` and `items`
make a response of the chat's answer; the `native` modules speak the Responses API; `settings`
tells the request's settings back.
"""
