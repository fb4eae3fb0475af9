"""Exchange data with other tools: NIfTI files, nnU-Net's raw data, labels.

export      a cohort -> NIfTI or nnU-Net     convert    labels -> a structure set
labels      labels -> masks on a CT          placing    where a label map lies on a CT's grid
nifti       one NIfTI file and its voxels    findings   what is found on either way
given       contours from elsewhere for the cases of a cohort, from sources by matching
approvals   drafts and the contours that were approved later
"""
