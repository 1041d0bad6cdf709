"""The commands, one file each (`cli.py` lists them), and the rooms that they share:

    terminal/       what every command does the same way: console, progress, options, starting a run
    datasets/       the only readers and writers of dataset layouts; making and checking manifests
    pictures/       decoding, encoding, and pictures for a person: overlay, contact sheet, film
    exports/        results as files that other tools open, a format a file
    evaluation/     what masks score, what each part of the method is worth
    reviewing/      what masks are worth without truth, and what of them a person should look at first
    reports/        an output as pages for a browser
    benchmarks/     what a frame costs on a machine, and where it goes
    training/       clips to learn from, and a training from its settings to its checkpoints

A flat file is a command and nothing else; no command imports another (`cli.py` imports all).
"""
