"""One script per figure that the README quotes."""

import lab as lab  # before torch, which reads at once how threads are to wait
