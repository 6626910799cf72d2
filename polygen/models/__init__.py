"""The models of PolyGen, with the names and calls of DeepMind's release."""
from .face import FaceModel
from .vertex import VertexModel

__all__ = ['FaceModel', 'VertexModel']
