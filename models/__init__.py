"""Tensors in, tensors out: everything that training and inference must do identically lives here once."""
