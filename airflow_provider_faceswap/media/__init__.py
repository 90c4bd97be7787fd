"""What bytes are, and how a picture gets to a vendor."""
