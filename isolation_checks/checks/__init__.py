"""One check a file. A check makes what it needs, tries, reports, and takes down what it made."""
