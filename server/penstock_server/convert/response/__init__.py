"""Responses: by way of chat completions, or by the upstream's own Responses API.

The `chat` modules make a chat request of a response request, and a response of the chat's answer;
the `native` modules speak the Responses API; `echoed_settings` returns the settings of the request.
"""
