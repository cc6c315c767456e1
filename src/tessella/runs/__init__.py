"""One run, one folder: trains, evaluates and predicts from a configuration, and leaves files that reports read."""
