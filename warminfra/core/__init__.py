"""The words of the project as types: ids, states, values, errors, ports. Standard library only."""
