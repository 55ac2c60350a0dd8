"""The benchmarks' own parts that compute."""
