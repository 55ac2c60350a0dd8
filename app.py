"""Slightly Different: start with ``python app.py``; ``python app.py --help`` lists the options."""

import gc

gc.disable()  # until the page is up, see tabs/quick.py

from tabs.launch import serve  # noqa: E402

if __name__ == "__main__":
    serve()
