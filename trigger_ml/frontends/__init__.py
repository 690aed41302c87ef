"""Front ends: train a family of networks in a framework, and freeze it into the integer graph."""
