"""A site learns from what people correct: approved cases -> a candidate -> the gate -> a person.

collect     approved cases -> the cohort of their model, some kept aside for testing
due         whether there is enough to learn from, and to test with
learn       cohort -> a candidate, judged against the model in use
versions    which version of a model is in use, was, or may be
learner     the process that collects and learns
findings    what can be found on the way
"""
