'use strict';

// Which formats can carry an engine of this size: NSIS ends at 2 GiB, and says so too late or not at all.

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { isSystemError } = require('../main/processes');

/** More than this no NSIS program can hold, nor one file of a release on common hosts. */
const LARGEST_BYTES = 2 * 1024 ** 3 - 1;

/** What a program needs besides the engine: Electron itself, packed. */
const APP_BYTES = 150 * 1024 ** 2;

/** Formats that put everything into one NSIS program. The web installer does not: its package lies beside it. */
const ONE_PROGRAM = Object.freeze(['nsis', 'portable']);

/** @param {number} engineBytes @returns {boolean} */
const fitsOneProgram = (engineBytes) => engineBytes + APP_BYTES <= LARGEST_BYTES;

/**
 * Returns Windows' formats: the installer, and one that needs none.
 *
 * @param {number} engineBytes
 * @returns {string[]}
 */
function windowsTargets(engineBytes) {
  return ['nsis-web', fitsOneProgram(engineBytes) ? 'portable' : 'zip'];
}

/**
 * Throws where a format was asked for that would be malformed, before hours are spent on it.
 *
 * @param {readonly string[]} targets
 * @param {number} engineBytes
 */
function checkTargets(targets, engineBytes) {
  const malformed = targets.filter((name) => ONE_PROGRAM.includes(name) && !fitsOneProgram(engineBytes));
  if (malformed.length === 0) return;
  throw new Error(
    `An engine of ${engineBytes} bytes does not fit into ${malformed.join(' or ')}: such a program ends at ${LARGEST_BYTES} bytes. Build nsis-web and zip instead.`,
  );
}

/** @param {string} engine the folder of a staged engine @returns {number} the bytes of its archive; 0 where none is staged */
function engineBytesOf(engine) {
  try {
    /** @type {{parts: {size: number}[]}} */
    const { parts } = JSON.parse(readFileSync(path.join(engine, 'manifest.json'), 'utf8'));
    return parts.reduce((sum, { size }) => sum + size, 0);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return 0;
    throw error;
  }
}

module.exports = { LARGEST_BYTES, checkTargets, engineBytesOf, windowsTargets };
