"""One way to write results a file. A format is a value (`jobs.exports.format.Format`), and `registry.py` lists it."""
