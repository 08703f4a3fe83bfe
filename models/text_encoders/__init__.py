"""The frozen text encoders: which there are, where their files lie, and several at once (Movie Gen, section 3.1.4)."""
