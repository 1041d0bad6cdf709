"""AFB-URR: the network and all that one video needs. Knows nothing of files, stores or Ray."""
