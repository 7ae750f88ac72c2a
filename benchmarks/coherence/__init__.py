"""Whether a cache model is ever older than its row: a check of RCModel by load, delays, kills and faults."""
