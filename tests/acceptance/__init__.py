"""Cases that hold for a simulated and for a real upstream, each defined once."""
