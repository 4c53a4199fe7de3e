"""The Processing algorithms, one a file; the folders are the groups of the toolbox."""
