"""The parts that the importers of saved Keras models share: loading, the walk along the layers, plain layers."""
