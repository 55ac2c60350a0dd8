"""One script per figure that the README quotes."""

import lab as lab  # before NumPy and torch, which read at once how many threads there are and how they wait
