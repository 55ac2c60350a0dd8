"""Run this tab alone: python -m tabs.melodies"""

from tabs.launch import serve

if __name__ == "__main__":
    serve(["melodies"])
