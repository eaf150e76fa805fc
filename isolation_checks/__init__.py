"""The isolation prover: may runs share this server?

It works on a scratch installation of its own, with the real server, and ends with `approve`,
`revert` or `inconclusive` and a folder of evidence. The engine emits frozen events; reports consume
them.
"""
