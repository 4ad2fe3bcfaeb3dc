"""Names that are imported, but not used."""

ImageReadMode = decode_image = None
