"""Measuring: quality, rate, Bjøntegaard delta rate, and other codecs on the same frames.

Rate is the size of what was written, quality is measured on the frames decoded from it.
"""
