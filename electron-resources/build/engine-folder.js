'use strict';

// Whether a folder holds a whole engine, and whether a copy of it is one: every file, its size, its executable bit.

const { readdir, readlink, stat, lstat, writeFile } = require('node:fs/promises');
const path = require('node:path');
const { digestOf, programOf, readLauncher, readManifest, wrong } = require('../main/engine-files');

/** A folder that must not be shipped; the message names everything that is wrong with it. */
class EngineFolderError extends Error {
  /** @param {string} folder @param {readonly string[]} problems */
  constructor(folder, problems) {
    super(`${folder} holds no engine that can be shipped:\n  ${problems.join('\n  ')}\nStage it again: nox -s stage.`);
    this.name = 'EngineFolderError';
    this.problems = problems;
  }
}

/**
 * Checks an engine by its own documents; throws EngineFolderError.
 *
 * @param {string} folder
 * @param {string} platform as Node names it
 */
async function checkEngineFolder(folder, platform) {
  const [launcher, manifest] = await readDocuments(folder);
  const documented = [programOf(launcher), manifest.index, ...(manifest.parts ?? [])];
  const found = await Promise.all(documented.map((file) => wrong(folder, file)));
  const problems = found.filter((problem) => problem !== null);
  if (problems.length === 0 && platform !== 'win32' && !(await isExecutable(path.join(folder, launcher.path)))) {
    problems.push(`${launcher.path} is not executable`);
  }
  if (problems.length > 0) throw new EngineFolderError(folder, problems);
}

/**
 * Writes engine.json again, after its launcher was signed.
 *
 * @param {string} folder
 */
async function noteLauncher(folder) {
  const launcher = await readLauncher(folder);
  const { size } = await stat(path.join(folder, launcher.path));
  const document = { ...launcher, size, checksum: await digestOf(folder, launcher.path) };
  await writeFile(path.join(folder, 'engine.json'), `${JSON.stringify(document, null, 1)}\n`);
}

/**
 * Checks that a copy has everything that its source has; throws EngineFolderError.
 *
 * @param {string} source
 * @param {string} copy
 * @param {readonly string[]} [signed] files that may differ: somebody else has looked at them
 */
async function checkCopy(source, copy, signed = []) {
  const [wanted, present] = await Promise.all([listTree(source), listTree(copy)]);
  const problems = [];
  for (const [name, what] of wanted) {
    if (signed.includes(name)) continue;
    const there = present.get(name);
    if (there === undefined) problems.push(`${name} was not copied`);
    else if (there !== what) problems.push(`${name} is ${there}, and should be ${what}`);
  }
  for (const name of present.keys()) if (!wanted.has(name)) problems.push(`${name} does not belong there`);
  if (problems.length > 0) throw new EngineFolderError(copy, problems);
}

/** @param {string} folder */
async function readDocuments(folder) {
  try {
    return /** @type {const} */ ([await readLauncher(folder), await readManifest(folder)]);
  } catch (error) {
    throw new EngineFolderError(folder, [error instanceof Error ? error.message : String(error)]);
  }
}

/** @param {string} file */
async function isExecutable(file) {
  return ((await stat(file)).mode & 0o111) !== 0;
}

/** @param {string} root @returns {Promise<Map<string, string>>} each path, and what is there, in words */
async function listTree(root) {
  const tree = new Map();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const whole = path.join(entry.parentPath, entry.name);
    tree.set(path.relative(root, whole), await describe(whole));
  }
  return tree;
}

/** @param {string} whole */
async function describe(whole) {
  const found = await lstat(whole);
  if (found.isSymbolicLink()) return `a link to ${await readlink(whole)}`;
  if (found.isDirectory()) return 'a folder';
  return `a file of ${found.size} bytes${found.mode & 0o111 ? ', executable' : ''}`;
}

module.exports = { EngineFolderError, checkCopy, checkEngineFolder, noteLauncher };
