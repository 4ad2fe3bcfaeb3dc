"""Responses, converted to chat completions or through the upstream's own Responses API.

The `chat` modules convert the request to a chat request and the chat's answer to a response; the
`native` modules use the Responses API; `echoed_settings` returns the settings of the request.
"""
