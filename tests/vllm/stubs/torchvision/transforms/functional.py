"""Names that are imported, but not used."""

pil_to_tensor = None
