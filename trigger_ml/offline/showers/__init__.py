"""Calorimeter showers in voxels: a simulation, a parametrisation, files and metrics of the CaloChallenge."""
