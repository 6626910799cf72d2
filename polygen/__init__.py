"""PolyGen (Nash et al., ICML 2020) on TensorFlow 1.15 and current TensorFlow 2."""
__version__ = '0.1.0'
