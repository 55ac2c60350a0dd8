"""From melodies to what the tab's components show. Pure functions; all text is escaped."""
