'use strict';

// Which of this machine's Python interpreters runs the backend, in development.

const { execFile } = require('node:child_process');
const { promisify } = require('node:util');
const { EngineError } = require('./errors');

const LEAST_PYTHON = Object.freeze([3, 10]);
const PYTHON_MS = 10_000;

/**
 * Returns the first interpreter that is new enough.
 *
 * @param {readonly string[]} names
 */
async function findPython(names) {
  const found = [];
  for (const name of names) {
    try {
      const version = await askVersion(name);
      if (isNewEnough(version)) return name;
      found.push(`${name} is ${version}`);
    } catch (error) {
      // Missing, broken, or a shop's stand-in (Windows has one): not this one, but the message shall say why.
      found.push(`${name} cannot be run (${Reflect.get(/** @type {object} */ (error), 'code')})`);
    }
  }
  throw new EngineError(
    'PYTHON_NOT_FOUND',
    `Python ${LEAST_PYTHON.join('.')} or newer is needed; ${found.join(', ')}.`,
  );
}

/** @param {string} name @returns {Promise<string>} */
async function askVersion(name) {
  const options = { timeout: PYTHON_MS, windowsHide: true };
  const { stdout } = await promisify(execFile)(
    name,
    ['-c', 'import platform; print(platform.python_version())'],
    options,
  );
  return stdout.trim();
}

/** @param {string} version for example 3.11.7 */
function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > LEAST_PYTHON[0] || (major === LEAST_PYTHON[0] && minor >= LEAST_PYTHON[1]);
}

module.exports = { findPython, isNewEnough };
