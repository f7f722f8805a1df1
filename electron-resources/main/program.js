'use strict';

// Whether the program of an engine is there, and may be run.

const { constants } = require('node:fs');
const { access, chmod, stat } = require('node:fs/promises');
const { EngineError } = require('./errors');
const { findPython } = require('./interpreter');
const { isSystemError } = require('./processes');

/**
 * Returns what to run; throws EngineError where it is not there, or cannot be made to run.
 *
 * @param {Exclude<import('./place').Place, import('./place').Remote>} place
 * @param {NodeJS.Platform} platform
 * @returns {Promise<Readonly<{command: string, args: readonly string[], cwd: string}>>}
 */
async function checkEngine(place, platform) {
  if (place.mode === 'refused') throw place.error;
  if (place.mode === 'production') {
    await requireFile(place.command, 'EXECUTABLE_NOT_FOUND');
    if (platform !== 'win32') await requireExecutable(place.command);
    return place;
  }
  await requireFile(place.backend, 'BACKEND_NOT_FOUND');
  return Object.freeze({ command: await findPython(place.interpreters), args: place.args, cwd: place.cwd });
}

/** @param {string} file @param {string} code of the error where there is no such file */
async function requireFile(file, code) {
  let found;
  try {
    found = await stat(file);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTDIR'))
      throw new EngineError('PERMISSION_DENIED', `${file} cannot be read: ${error}`, { path: file });
    throw new EngineError(code, `${file} is missing.`, { path: file });
  }
  if (!found.isFile()) throw new EngineError(code, `${file} is no file.`, { path: file });
}

/** @param {string} file */
async function requireExecutable(file) {
  if (await isExecutable(file)) return;
  // Some archive programs drop the executable bit.
  try {
    await chmod(file, 0o755);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EngineError('PERMISSION_DENIED', `${file} may not be run, and that cannot be changed: ${reason}`, {
      path: file,
    });
  }
  if (!(await isExecutable(file)))
    throw new EngineError('PERMISSION_DENIED', `${file} may not be run.`, { path: file });
}

/** @param {string} file */
async function isExecutable(file) {
  // For root, access() says yes to a file without any executable bit, which then does not start.
  if (((await stat(file)).mode & 0o111) === 0) return false;
  try {
    await access(file, constants.X_OK);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EACCES', 'EPERM')) return false;
    throw error;
  }
}

module.exports = { checkEngine };
