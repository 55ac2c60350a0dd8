"""The subject itself, without one Gradio import: usable from a notebook, a script or a test."""
