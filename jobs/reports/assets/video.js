"use strict";
vosBatch.Video = () => null;
