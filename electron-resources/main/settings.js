'use strict';

// What the app itself remembers: the folder that the user chose for the engine, and of the engine the last version that
// ran, the runtime that was healthy last, and the digest of the manifest whose files were found right.

const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { isSystemError } = require('./processes');

/** @typedef {Readonly<{home?: string, engineVersion?: string, runtime?: string, manifest?: string}>} Settings */

const TEXTS = Object.freeze(['engineVersion', 'runtime', 'manifest']);

/** @param {string} file @returns {Settings} */
function readSettings(file) {
  try {
    const { home, ...rest } = JSON.parse(readFileSync(file, 'utf8'));
    const kept = Object.entries(rest).filter(([name, value]) => TEXTS.includes(name) && typeof value === 'string');
    return Object.freeze({
      ...(typeof home === 'string' && path.isAbsolute(home) && { home }),
      ...Object.fromEntries(kept),
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
