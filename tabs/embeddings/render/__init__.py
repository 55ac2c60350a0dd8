"""From results of the embeddings tab to what its components show. Pure functions; all text is escaped."""
