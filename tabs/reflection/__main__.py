"""Run this tab alone: python -m tabs.reflection"""

from tabs.launch import serve

if __name__ == "__main__":
    serve(["reflection"])
