"""Run this tab alone: python -m tabs.reward"""

from tabs.launch import serve

if __name__ == "__main__":
    serve(["reward"])
