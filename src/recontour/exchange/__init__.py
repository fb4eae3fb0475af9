"""To other tools and back: NIfTI files, nnU-Net's raw data, and their labels as structure sets."""
