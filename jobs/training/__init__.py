"""Where clips for training come from: stores, codecs and datasets, and how clips are composed of them."""
