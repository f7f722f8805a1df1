'use strict';

// The engine's files beside the app, by their own documents: manifest.json names the archive and its index, engine.json
// the launcher.

const { createHash } = require('node:crypto');
const { createReadStream } = require('node:fs');
const { readFile, stat } = require('node:fs/promises');
const path = require('node:path');
const { pipeline } = require('node:stream/promises');
const { isSystemError } = require('./processes');

/**
 * @typedef {Readonly<{name: string, size: number, sha256: string}>} Documented a file, as a document has it
 * @typedef {Readonly<{
 *   runtime: string,
 *   version: string,
 *   index: Documented,
 *   parts: readonly Documented[],
 * }>} Manifest as far as the app reads it
 * @typedef {Readonly<{path: string, platform: string, version: string, size: number, checksum: string,
 *   createdAt: string}>} BackendExecutableInfo
 */

/** @param {string} folder @returns {Promise<Manifest>} */
async function readManifest(folder) {
  return JSON.parse(await readFile(path.join(folder, 'manifest.json'), 'utf8'));
}

/** @param {string} folder @returns {Promise<BackendExecutableInfo>} */
async function readLauncher(folder) {
  return JSON.parse(await readFile(path.join(folder, 'engine.json'), 'utf8'));
}

/** @param {string} file @returns {Promise<boolean>} */
async function isThere(file) {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** @param {string} folder @param {string} name @returns {Promise<string>} the file's sha256 */
async function digestOf(folder, name) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path.join(folder, name)), hash);
  return hash.digest('hex');
}

/** @param {string} folder @param {Documented | undefined} file @returns {Promise<string | null>} what is wrong with its size */
async function wrongSize(folder, file) {
  if (typeof file?.name !== 'string') return 'manifest.json or engine.json names no file where it should';
  try {
    const { size } = await stat(path.join(folder, file.name));
    return size === file.size ? null : `${file.name} has ${size} bytes instead of ${file.size}`;
  } catch (error) {
    return `${file.name}: ${error instanceof Error ? error.message : error}`;
  }
}

/** @param {string} folder @param {Documented | undefined} file @returns {Promise<string | null>} what is wrong with it */
async function wrong(folder, file) {
  const problem = await wrongSize(folder, file);
  if (problem !== null || file === undefined) return problem;
  return (await digestOf(folder, file.name)) === file.sha256
    ? null
    : `${file.name} does not have the sha256 that is written of it`;
}

/** @param {BackendExecutableInfo} launcher @returns {Documented} */
const programOf = ({ path: name, size, checksum: sha256 }) => Object.freeze({ name, size, sha256 });

module.exports = { digestOf, isThere, programOf, readLauncher, readManifest, wrong, wrongSize };
