"""Pictures: media types, conversion, and the form in which they are sent to a vendor."""
