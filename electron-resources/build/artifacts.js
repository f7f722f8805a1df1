'use strict';

// What was built must hold what it should: some installer formats cut off what is too big for them, without a word.

const { readFile, stat } = require('node:fs/promises');
const path = require('node:path');

/** More than this no NSIS program can hold, nor one file of a release on common hosts. */
const LARGEST_BYTES = 2 * 1024 ** 3 - 1;

/** Formats that carry the engine inside. The installer of nsis-web does not: its package does. */
const CARRIERS = Object.freeze(['.AppImage', '.deb', '.dmg', '.zip', '.7z']);

/**
 * Throws where an artifact cannot be right.
 *
 * @param {import('electron-builder').BuildResult} result
 * @param {string} engine the folder of the staged engine
 * @returns {Promise<string[]>} no further artifacts
 */
async function checkArtifacts({ artifactPaths }, engine) {
  const manifest = JSON.parse(await readFile(path.join(engine, 'manifest.json'), 'utf8'));
  const engineBytes = manifest.parts.reduce(
    (/** @type {number} */ sum, /** @type {{size: number}} */ part) => sum + part.size,
    0,
  );
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
  const extension = path.extname(name);
  if (extension === '.exe' && size > LARGEST_BYTES) return `${size} bytes are more than an NSIS program can hold`;
  // The archive is compressed already: nothing makes it smaller, so a smaller artifact has lost some of it.
  if (CARRIERS.includes(extension) && size < engineBytes)
    return `${size} bytes cannot hold an engine of ${engineBytes}`;
  return null;
}

module.exports = { checkArtifacts, judgeArtifact };
