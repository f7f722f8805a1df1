'use strict';

// Files that people open with the app: configurations, which go to the library of the engine as soon as there is one.

const { readFile } = require('node:fs/promises');
const path = require('node:path');
const { extension } = require('../release');
const { request } = require('./request');

/** What the backend takes at most, in milliseconds, to look at a small file. */
const ANSWER_MS = 10_000;

/**
 * Returns the files of the app's own that a command line names.
 *
 * @param {readonly string[]} argv
 * @param {string} folder that relative names are relative to
 * @returns {string[]}
 */
function openedIn(argv, folder) {
  const named = argv.slice(1).filter((word) => !word.startsWith('-') && word.toLowerCase().endsWith(`.${extension}`));
  return named.map((name) => path.resolve(folder, name));
}

class OpenedFiles {
  #backend;
  #listener;
  /** @type {string[]} */
  #waiting = [];

  /**
   * @param {import('./backend-service-manager').BackendServiceManager} backend
   * @param {{onImported: (name: string) => void, onRefused: (file: string, reason: string) => void}} listener
   */
  constructor(backend, listener) {
    this.#backend = backend;
    this.#listener = listener;
  }

  /** @param {readonly string[]} files */
  add(files) {
    this.#waiting.push(...files);
    if (this.#backend.status().running) this.deliver();
  }

  /** Imports what is waiting; nothing is tried twice. */
  async deliver() {
    for (const file of this.#waiting.splice(0)) {
      try {
        this.#listener.onImported(await this.#import(file));
      } catch (error) {
        this.#listener.onRefused(file, error instanceof Error ? error.message : String(error));
      }
    }
  }

  /** @param {string} file @returns {Promise<string>} the configuration's name */
  async #import(file) {
    const { base, token } = this.#backend;
    const form = new FormData();
    form.append('file', new Blob([await readFile(file)]), path.basename(file));
    const options = { method: 'POST', token, form, timeoutMs: ANSWER_MS };
    const { status, body } = await request(base, '/api/configurations/import-file', options);
    const { data, detail } = JSON.parse(body);
    if (status !== 200) throw new Error(typeof detail === 'string' ? detail : `The engine answers ${status}.`);
    return data.metadata.name;
  }
}

module.exports = { OpenedFiles, openedIn };
