"""The cache behind RCModel: what may be read from it, and who says so."""
