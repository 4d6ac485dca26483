"""Changes of the labels of a trained model: what they make of labels, of parameters, of rows."""
