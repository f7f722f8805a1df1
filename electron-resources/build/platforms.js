'use strict';

// Which engine belongs to which machine.

const path = require('node:path');

const DIST = path.join(__dirname, '..', '..', 'dist');

/** electron-builder's words for a machine, and conda's. @type {Readonly<Record<string, string>>} */
const PLATFORMS = Object.freeze({
  'linux x64': 'linux-64',
  'linux arm64': 'linux-aarch64',
  'darwin x64': 'osx-64',
  'darwin arm64': 'osx-arm64',
  'win32 x64': 'win-64',
});

/**
 * Returns where the engine of a machine was staged; throws where there is none for it.
 *
 * @param {string} electronPlatform as Node names it
 * @param {string} arch
 * @param {string} [given] the folder that the build was told to take instead
 * @returns {string}
 */
function resourcesOf(electronPlatform, arch, given) {
  if (given) return path.resolve(given);
  const machine = `${electronPlatform} ${arch}`;
  if (!Object.hasOwn(PLATFORMS, machine)) throw new Error(`There is no engine for ${electronPlatform} on ${arch}.`);
  return path.join(DIST, PLATFORMS[machine], 'resources');
}

module.exports = { PLATFORMS, resourcesOf };
