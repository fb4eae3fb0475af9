"""A site learns from what people correct: approved cases -> a candidate -> the gate -> a person.

versions    which version of a model is in use, was, or may be
findings    what can be found on the way
"""
