"""Results as files that other tools open: a format a file in `formats/`, all of them in `registry.py`.

plan.py         which videos, which names, numbers and classes they get
video.py        one video's frames and objects, as a format sees them
sink.py         where a format puts what it writes of one video
parts.py        files that all videos share, joined from what each video gave
destination.py  whose folder it is, and what of it is done
export.py       all of it, over several processes
"""
