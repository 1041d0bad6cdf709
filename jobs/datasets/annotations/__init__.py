"""What annotation tools wrote, as rows of a manifest: a layout a file, all of them in `registry.py`.

annotated.py   videos, frames and objects as a layout's reader gives them
documents.py   JSON, XML and YAML files, read so that no file can do harm
shapes.py      polygons, boxes and run lengths as a manifest holds them
paths.py       names of pictures in files, and which annotation file a folder has
sources.py     where the pictures of annotated frames lie, and which frame of the video each of them is
tasks.py       object ids, prompts, classes: the rows
build.py       all of it
"""
