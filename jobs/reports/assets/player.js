/* The whole video as a small film, with the masks of the frame that is just seen. */
"use strict";

vosBatch.player = (() => {
  const { html, useEffect, useRef } = htmPreact;
  const OFTEN = 100; // ms from one word to the next about where a playing film is

  /** Whether there is a film, and this browser tells which frame of it is seen. */
  const able = (proxy) => proxy !== null && "requestVideoFrameCallback" in HTMLVideoElement.prototype;

  const lastOf = (proxy) => proxy.first + proxy.frames - 1;
  const has = (proxy, frame) => able(proxy) && frame >= proxy.first && frame <= lastOf(proxy);

  /** What is in a frame: at once where its script has been loaded, else a promise. */
  function objectsOf(proxy, frame) {
    const place = frame - proxy.first;
    const path = `${proxy.folder}/${Math.floor(place / proxy.frames_a_script)}.js`;
    const own = (frames) => frames[place % proxy.frames_a_script];
    const frames = vosBatch.here(`proxy/${path}`);
    return frames ? own(frames) : vosBatch.load(path, `proxy/${path}`).then(own);
  }

  /** Where a server knows no ranges a browser does not seek: then all of the film is fetched first. */
  async function makeSeekable(film) {
    if (!location.protocol.startsWith("http") || film.src.startsWith("blob:")) return;
    if (film.seekable.length && film.seekable.end(film.seekable.length - 1) > 0) return;
    const answer = await fetch(film.src);
    if (answer.ok) film.src = URL.createObjectURL(await answer.blob());
  }

  /**
   * The film and a canvas over it.
   * @param frame where to be; a film that plays goes on from there
   * @param draw (canvas, objects): paints masks
   * @param onFrame (frame, objects): where it is
   */
  function Player({ proxy, frame, playing, draw, onFrame, onEnd, onError }) {
    const film = useRef(null);
    const canvas = useRef(null);
    const [num, den] = proxy.fps;
    // What events of the film need: the latest properties, the frame that is seen, told of, and sought.
    const now = useRef({ seen: null, told: null, sought: null, toldAt: 0 }).current;
    Object.assign(now, { draw, onFrame, playing });

    function show(seen, objects) {
      if (now.seen !== seen || !canvas.current) return; // it has gone on
      now.draw(canvas.current, objects);
      if (!now.playing || performance.now() - now.toldAt >= OFTEN) tell(seen, objects);
    }

    function tell(seen, objects) {
      Object.assign(now, { told: seen, toldAt: performance.now() });
      now.onFrame(seen, objects);
    }

    function see(seen) {
      if (now.sought !== null && now.sought !== seen) return; // a frame from before it was sought
      now.sought = null;
      now.seen = seen;
      const objects = objectsOf(proxy, seen);
      if (Array.isArray(objects)) return show(seen, objects);
      now.draw(canvas.current, []);
      objects.then((loaded) => show(seen, loaded), (error) => onError(error.message));
    }

    function start() {
      film.current.play().catch((error) => error.name === "AbortError" || onError(error.message));
    }

    function seek() {
      now.sought = frame;
      film.current.currentTime = ((frame - proxy.first + 0.5) * den) / num;
    }

    useEffect(() => {
      const video = film.current;
      let asked;
      const next = () => {
        asked = video.requestVideoFrameCallback((_, { mediaTime }) => {
          see(proxy.first + Math.max(0, Math.min(proxy.frames - 1, Math.round((mediaTime * num) / den))));
          next();
        });
      };
      next();
      return () => {
        video.cancelVideoFrameCallback(asked);
        if (video.src.startsWith("blob:")) URL.revokeObjectURL(video.src);
      };
    }, [proxy]);
    useEffect(() => {
      if (frame !== now.told) seek();
    }, [frame]);
    useEffect(() => {
      if (playing) start();
      else {
        film.current.pause();
        if (now.sought === null) seenAgain(tell);
      }
    }, [playing]);
    useEffect(() => seenAgain((_, objects) => draw(canvas.current, objects)), [draw]);

    function seenAgain(use) {
      const objects = now.seen === null ? null : objectsOf(proxy, now.seen);
      if (Array.isArray(objects)) use(now.seen, objects);
    }

    const ready = () => makeSeekable(film.current).then(() => {
      if (now.sought !== null) seek();
      if (now.playing) start();
    });
    return html`<video ref=${film} src=${`${proxy.folder}/video.mp4`} muted playsinline preload="auto"
        onLoadedMetadata=${ready} onEnded=${onEnd} onError=${() => onError("this browser cannot play the film (H.264)")}></video>
      <canvas ref=${canvas} width=${proxy.width} height=${proxy.height}></canvas>`;
  }

  const Sign = ({ playing }) => html`<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true" fill="currentColor">
    <path d=${playing ? "M2 1h3v10H2zM7 1h3v10H7z" : "M2 0.5v11l9.5-5.5z"} /></svg>`;

  /** Play, and a slider over all frames. */
  const Controls = ({ proxy, frame, playing, onPlay, onSeek }) => html`<span class="film">
    <button class="button" type="button" aria-label=${playing ? "Pause" : "Play"} title=${`${playing ? "Pause" : "Play"} (space)`}
      onClick=${onPlay}><${Sign} playing=${playing} /></button>
    <input type="range" aria-label="Frame of the film" min=${proxy.first} max=${lastOf(proxy)} step="1" value=${frame}
      onInput=${(event) => onSeek(Number(event.target.value))} /></span>`;

  return { Player, Controls, able, has, lastOf };
})();
