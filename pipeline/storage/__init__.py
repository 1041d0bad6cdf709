"""Files on any object store: the only room that knows how each kind of store is asked."""
