"""Does a segmentation model give away its training images? (Thesis, chapter 7.)"""
