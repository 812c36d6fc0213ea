"""Training and evaluation of the network: tensors in, tensors out. Nothing but the command's lab imports it."""
