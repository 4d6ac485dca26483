"""The config.pbtxt of each model, written from the bundle and the options."""
