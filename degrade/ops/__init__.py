"""The arithmetic of degradation: kernels, blur, resizing, noise, codecs, and the steps that are drawn of them."""
