"""Groups: several processes share work, and each knows what is its part. The same on every broker."""
