"""Turn one centre's model into another's: choose what is kept and what retrains.

depth      which layers retrain, counted from the network's end
inherit    what an adapted network takes over from its parent
measured   what bodies and organs measure in its patients
models     a model from its first weights to its file
joining    a model that takes some organs from another
findings   what can be wrong with the settings
"""
