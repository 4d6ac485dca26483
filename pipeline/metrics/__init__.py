"""How good answers are: scores of label sets and of confidences, thresholds tuned by them, counts of traffic."""
