"""An output as pages for a browser: files that open from a disk or an object store, without a server or a network.

    index.html, review.html  the pages, with assets/ the same in every report
    data/summary.js          the state of the run, and a row for every video
    data/videos/SAFE.js      curves, marks and masks of one video, loaded when it is looked at
    frames/SAFE/N.jpg        frames worth a look
    data/queue.js, queue/    what is to be reviewed, and crops/, the pictures of it

SAFE is a video's `safe_name`. Browsers refuse `fetch` and modules from a disk, so data are scripts that call a function
of the page.
"""
