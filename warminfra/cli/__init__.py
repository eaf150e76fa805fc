"""The command line: parse, call one function, print. Start-up is a feature."""
