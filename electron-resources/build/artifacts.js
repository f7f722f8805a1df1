'use strict';

// What was built must hold what it should: some installer formats cut off what is too big for them, without a word.

const { stat } = require('node:fs/promises');
const path = require('node:path');
const { LARGEST_BYTES, engineBytesOf } = require('./targets');

/** Formats that carry the engine inside. The installer of nsis-web does not: its package does. */
const CARRIER = /(\.(AppImage|deb|dmg|zip|7z)|-portable\.exe)$/;

/**
 * Throws where an artifact cannot be right.
 *
 * @param {import('electron-builder').BuildResult} result
 * @param {string} engine the folder of the staged engine
 * @returns {Promise<string[]>} no further artifacts
 */
async function checkArtifacts({ artifactPaths }, engine) {
  const engineBytes = engineBytesOf(engine);
  for (const file of artifactPaths) {
    const problem = judgeArtifact({ name: path.basename(file), size: (await stat(file)).size, engineBytes });
    if (problem !== null) throw new Error(`${file}: ${problem}`);
  }
  return [];
}

/**
 * @param {{name: string, size: number, engineBytes: number}} artifact
 * @returns {string | null} why it cannot be right
 */
function judgeArtifact({ name, size, engineBytes }) {
  if (name.endsWith('.exe') && size > LARGEST_BYTES) return `${size} bytes are more than an NSIS program can hold`;
  // The archive is compressed already: nothing makes it smaller, so a smaller artifact has lost some of it.
  return CARRIER.test(name) && size < engineBytes ? `${size} bytes cannot hold an engine of ${engineBytes}` : null;
}

module.exports = { checkArtifacts, judgeArtifact };
