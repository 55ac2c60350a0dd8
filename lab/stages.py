"""The stages of the course's arc, by the names that its tables show."""

SCRATCH, TRANSFER, LORA, PRETRAINED = "from scratch", "transfer", "LoRA", "large, pre-trained"
