"""What the training rows say of a row: features, neighbours, doubts about labels."""
