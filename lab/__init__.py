"""The subject itself, without one Gradio import: usable from a notebook, a script or a test."""

import os

# Read when torch is loaded. The threads of an operation wait for each other asleep: those that spin hold the core which
# the others need, and where another program has one of two cores a step for thirty visitors took ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
