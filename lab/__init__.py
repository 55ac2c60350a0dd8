"""The subject itself, without one Gradio import: usable from a notebook, a script or a test."""

import os

# Read when torch is loaded. The threads of an operation wait for each other for a moment, which bridges the way to the
# next one, and then asleep: those that go on spinning hold the core that the others need, and where another program
# has one of two cores a step for thirty visitors took ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # GNU's OpenMP, that of torch on Linux
# Read when NumPy is loaded. NumPy and SciPy each bring threads of their own, which take the cores from one another
# where the two take turns: a reward model of 768 weights needed 200 ms instead of 15.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
