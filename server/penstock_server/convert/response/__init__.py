"""Responses: by way of chat completions, or by the upstream's own Responses API.

The `chat` modules make a chat request of a response request, and a response of the chat's answer;
the `native` modules speak the Responses API; `echoed_settings` tells the request's settings back.
"""
