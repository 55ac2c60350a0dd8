"""Melodies: reading, tokens, the model and its adaptations, sound, score, measures. No Gradio here."""
