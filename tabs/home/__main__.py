"""Run this tab alone: python -m tabs.home"""

from tabs.launch import serve

if __name__ == "__main__":
    serve(["start"])
