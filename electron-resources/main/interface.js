'use strict';

// Which pages the app has, and whether they find an engine on another port than 8000.

const { readFile } = require('node:fs/promises');
const path = require('node:path');
const { isSystemError } = require('./processes');

/** Pages that ask for the engine's address say so in their index.html; older ones have port 8000 compiled in. */
const ANY_PORT = /<meta\s+name="engine-port"\s+content="any"\s*\/?>/;

/**
 * Returns what lies in the folder of the app's pages.
 *
 * @param {string} folder
 * @returns {Promise<'none' | 'port-8000' | 'any-port'>}
 */
async function readInterface(folder) {
  try {
    const page = await readFile(path.join(folder, 'index.html'), 'utf8');
    return ANY_PORT.test(page) ? 'any-port' : 'port-8000';
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return 'none';
    throw error;
  }
}

module.exports = { readInterface };
