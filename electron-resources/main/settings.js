'use strict';

// What the app itself remembers: the folder that the user chose for the engine, and the engine's last version.

const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { isSystemError } = require('./processes');

/** @typedef {Readonly<{home?: string, engineVersion?: string}>} Settings */

/** @param {string} file @returns {Settings} */
function readSettings(file) {
  try {
    const { home, engineVersion } = JSON.parse(readFileSync(file, 'utf8'));
    return Object.freeze({
      ...(typeof home === 'string' && path.isAbsolute(home) && { home }),
      ...(typeof engineVersion === 'string' && { engineVersion }),
    });
  } catch (error) {
    // Nothing remembered yet, or a file that a crash has torn: then everything is as on the first day.
    if (error instanceof SyntaxError || error instanceof TypeError || isSystemError(error, 'ENOENT'))
      return Object.freeze({});
    throw error;
  }
}

/** @param {string} file @param {Settings} settings */
function writeSettings(file, settings) {
  mkdirSync(path.dirname(file), { recursive: true });
  const fresh = `${file}.new`;
  writeFileSync(fresh, `${JSON.stringify(settings)}\n`);
  renameSync(fresh, file);
}

module.exports = { readSettings, writeSettings };
