"""Language models: loading, the decoding engine, strategies, measures."""
