"""Slightly Different: start with ``python app.py``; ``python app.py --help`` lists the options."""

from tabs.launch import serve

if __name__ == "__main__":
    serve()
