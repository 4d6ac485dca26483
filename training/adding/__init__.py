"""Labels that a trained model gets by some examples, without training."""
