"""Ways to run the app beyond one process. Nothing in the app itself depends on them."""
