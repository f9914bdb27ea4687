"""One contract suite for every engine, and what the local engine is made of."""
