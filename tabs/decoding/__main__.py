"""Run this tab alone: python -m tabs.decoding"""

from tabs.launch import serve

if __name__ == "__main__":
    serve(["decoding"])
