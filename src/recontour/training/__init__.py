"""How a network learns from a cohort.

presets   what `--preset NAME` stands for     recipe      the settings of one training
batches   slices, drawn and prepared          features    a frozen trunk's features, cached
ahead     batches from helper processes       loop, loss  what an iteration learns
run       a run that can be resumed           checkpoint  what it goes on from, checked
log       scalars for TensorBoard             profile     where an iteration's time goes
"""
