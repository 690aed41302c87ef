"""Top-quark pairs by kinematics alone, as partons and as a detector would see them."""
