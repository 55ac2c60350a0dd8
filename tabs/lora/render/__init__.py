"""From results of the LoRA tab to what its components show. Pure functions; all text is escaped."""
