"""Run this tab alone: python -m tabs.embeddings"""

from tabs.launch import serve

if __name__ == "__main__":
    serve(["embeddings"])
