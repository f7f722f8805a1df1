'use strict';

// What the app itself remembers of the engine: the last version that ran, the runtime that was healthy last, and the digest of the manifest whose files were found right.

const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { isSystemError } = require('./processes');

/** @typedef {Readonly<{engineVersion?: string, runtime?: string, manifest?: string}>} Settings */

const TEXTS = Object.freeze(['engineVersion', 'runtime', 'manifest']);

/** @param {string} file @returns {Settings} */
function readSettings(file) {
  try {
    const found = Object.entries(JSON.parse(readFileSync(file, 'utf8')));
    return Object.freeze(
      Object.fromEntries(found.filter(([name, value]) => TEXTS.includes(name) && typeof value === 'string')),
    );
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
