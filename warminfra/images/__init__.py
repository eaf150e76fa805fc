"""The warm image set: what a recipe needs, by digest, here before it is asked for, and kept."""
