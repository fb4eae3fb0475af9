"""From one centre's model to another's: what is kept, and what retrains."""
