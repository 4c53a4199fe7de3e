"""Runs that a YAML file describes: reading, checking, showing and doing them.

From the file to the job: `documents` reads one file with the place of everything in it, `merging` puts it over those
that it extends, `overrides` changes single values, `references` fills in ``${a.b}``; `tree` is all of these in turn.
From there to the results: `runs` does one run, `sweeping` those of a sweep. Nothing here runs code that a file names,
and to open a `configuration` takes no more than PyYAML and OmegaConf.
"""
