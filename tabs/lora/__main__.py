"""Run this tab alone: python -m tabs.lora"""

from tabs.launch import serve

if __name__ == "__main__":
    serve(["lora"])
