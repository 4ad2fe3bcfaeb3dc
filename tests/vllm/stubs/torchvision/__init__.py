"""Stands for torchvision, which is not installed, for the libraries of a model that has no images.

vLLM's models of speech by Qwen are among those that import it, but call none of its functions.
"""

__version__ = "0"
