"""The model package: a folder with the network, what it expects, and how it was made."""
