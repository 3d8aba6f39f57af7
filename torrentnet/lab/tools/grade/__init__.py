"""Grading of submissions: a rubric, its experiments, and the marks that they give."""
