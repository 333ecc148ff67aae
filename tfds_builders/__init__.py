"""TensorFlow Datasets builders: one folder per dataset."""
