"""Reports: each consumes the same events and the same outcome, and knows no other."""
