"""The optimisation model as Pyomo blocks, one function per constraint family."""
