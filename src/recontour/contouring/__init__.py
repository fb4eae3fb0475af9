"""From a CT to contours."""
