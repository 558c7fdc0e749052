"""Somebody's trained model, made smaller: pruned, quantized, fine-tuned, and measured."""
