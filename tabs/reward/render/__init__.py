"""What the tools show, made from what the lab returns. Pure functions."""
