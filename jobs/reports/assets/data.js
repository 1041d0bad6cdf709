/* The one global name of the pages, and how data come in: scripts that call `vosBatch.NAME(key, value)`. Browsers refuse
   `fetch` and modules from a disk, a script they load from anywhere. */
"use strict";

window.vosBatch = (() => {
  const KEPT = 24; // loaded videos at most
  const arrived = new Map();
  const loading = new Map();

  /** What data scripts call; the last argument is the value, what comes before it says of what. */
  const receiver = (name) => (...given) => {
    const value = given.pop();
    arrived.set([name, ...given].join("/"), value);
  };

  /** The value that a script of the report brings, by the name and key that it calls with. */
  function load(path, key) {
    if (arrived.has(key)) {
      return Promise.resolve(arrived.get(key));
    }
    if (!loading.has(key)) {
      loading.set(key, inserted(path, key).finally(() => loading.delete(key)));
    }
    return loading.get(key);
  }

  function inserted(path, key) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = path;
      script.onload = () => {
        script.remove();
        forgetOldest();
        arrived.has(key) ? resolve(arrived.get(key)) : reject(new Error(`${path} is not of this report`));
      };
      script.onerror = () => {
        script.remove();
        reject(new Error(`${path} cannot be loaded`));
      };
      document.head.append(script);
    });
  }

  function forgetOldest() {
    const large = [...arrived.keys()].filter((key) => key.includes("/"));
    large.slice(0, -KEPT).forEach((key) => arrived.delete(key));
  }

  return {
    summary: receiver("summary"),
    queue: receiver("queue"),
    video: receiver("video"),
    chunk: receiver("chunk"),
    proxy: receiver("proxy"),
    load,
    /** What a script in the page's head or body has brought already; undefined where it is missing. */
    here: (key) => arrived.get(key),
    /** All of one video, by its safe name. */
    loadVideo: (file) => load(`data/videos/${file}.js`, `video/${file}`),
  };
})();
