"""From a manifest to tables. The rooms, each importing only those named before it:

    storage/    files on any store: URLs, what failures mean, asking again, whole-file writes, fingerprints
    input/      what a run reads: the manifest, prompt masks, video frames, weights
    output/     what a run leaves: rows and run lengths, files, commits, the lease, tables for readers
    run/        a run: plan what is missing, segment it on workers, commit it; Ray in the files named ray_*

`input` and `output` never import each other. Beside them lies the ground that every room stands on: `errors`,
`credentials` (no secret is ever said), `overlap` (threads with bounded queues), `version`.
"""
