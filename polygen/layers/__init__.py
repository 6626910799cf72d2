"""Tensors in, tensors out; knows no meshes."""
