"""Run this tab alone: python -m tabs.workshop"""

from tabs.launch import serve

if __name__ == "__main__":
    serve(["class"])
