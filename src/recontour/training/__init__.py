"""How a network learns from a cohort."""
