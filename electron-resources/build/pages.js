'use strict';

// Whether the app's built pages are whole: everything that index.html names has to be there.

const { readFile } = require('node:fs/promises');
const path = require('node:path');
const { isThere } = require('../main/engine-files');

/** What an element loads: pages are built, so nothing else names files in index.html. */
const NAMED = /<(?:script|link|img)\b[^>]*?\s(?:src|href)="([^"]+)"/g;

/**
 * Throws where a page would stay empty. No pages at all is allowed: then the app shows the engine's own.
 *
 * @param {string} folder
 */
async function checkPages(folder) {
  if (!(await isThere(folder))) return;
  const page = await readFile(path.join(folder, 'index.html'), 'utf8');
  const names = [...page.matchAll(NAMED)].map(([, name]) => name).filter((name) => !/^(https?:|data:)/.test(name));
  if (names.length === 0) throw new Error(`${folder}/index.html loads nothing: is it built?`);
  const missing = [];
  for (const name of names) if (!(await isThere(path.join(folder, name.replace(/[?#].*/, ''))))) missing.push(name);
  if (missing.length > 0) throw new Error(`${folder}/index.html names what is not there: ${missing.join(', ')}.`);
}

module.exports = { checkPages };
