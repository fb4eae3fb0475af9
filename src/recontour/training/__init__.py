"""Train a network on a cohort.

presets     what `--preset NAME` stands for     recipe       the settings of one training
batches     slices, drawn and prepared          features     a frozen trunk's features, cached
ahead       batches from helper processes       loop, loss   what an iteration learns
run         a run that can be resumed           checkpoint   what a run resumes from, checked
log         scalars for TensorBoard             profile      where an iteration's time goes
precision   float32 or bf16                     folder       what lies in a run's folder
together    processes that train one model      findings     what can be found around a training
"""
