'use strict';

// What an update changes: the engine's files are looked at once, the version is noted once it is healthy, and until then
// the engine of the version before is kept to go back to. Its runtime still lies beside the new one, and its launcher is
// kept here; the archive is not: it is large, and what is installed already needs none.

const { cp, mkdir, readFile, rename, rm } = require('node:fs/promises');
const path = require('node:path');
const { ActFailed } = require('./acts');
const { digestOf, programOf, readLauncher, readManifest, wrong, wrongSize } = require('./engine-files');
const { EngineError } = require('./errors');
const { locateEngine } = require('./place');
const { isSystemError } = require('./processes');
const { readSettings, writeSettings } = require('./settings');

/** What of a launcher's folder starts a runtime that is installed already. */
const STARTERS = Object.freeze(['_internal', 'manifest.json', 'engine.json']);

/**
 * @typedef {Readonly<{
 *   place: () => import('./place').Place,
 *   app: string,
 *   user: string,
 *   settings: string,
 *   platform: NodeJS.Platform,
 *   acts: import('./acts').Acts,
 *   log: import('./log').Log,
 * }>} Parts `place` of the engine that came with the app, `app` the app's own folder, `user` the user's, `settings` the file
 */

class Versions {
  #parts;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Looks at the engine's files if they are new here; throws EngineError where they are not those of this app. */
  async check() {
    const folder = this.#folder();
    if (folder === null) return;
    const expected = await this.#record();
    if (expected === null || expected === readSettings(this.#parts.settings).manifest) return;
    const problems = await problemsOf(folder, expected);
    if (problems.length > 0) throw new EngineError('UPDATE_INCOMPLETE', `${folder}: ${problems.join('; ')}.`);
    this.#remember({ manifest: expected });
  }

  /** @param {string} version of an engine that is ready */
  async noteVersion(version) {
    const { settings, log } = this.#parts;
    const { engineVersion } = readSettings(settings);
    if (version === engineVersion) return;
    log.info(`backend-version: ${engineVersion ?? 'none'} → ${version}`);
    this.#remember({ engineVersion: version });
  }

  /**
   * Notes that an engine is healthy, and all of it there: from then on it is the one to go back to, and the runtimes of
   * others go.
   *
   * @param {import('./place').Place} place where it was started
   */
  async noteHealthy(place) {
    const { settings } = this.#parts;
    const folder = this.#folder();
    if (folder === null || place.mode !== 'production' || place.cwd !== folder) return;
    const { runtime } = await readManifest(folder);
    const before = readSettings(settings).runtime;
    if (runtime === before) return;
    await this.#keep(folder);
    if (before !== undefined) await this.#run(place, 'remove', '--others');
    this.#remember({ runtime });
  }

  /** @returns {Promise<import('./place').Production | null>} the engine before this one, where this one was never healthy and that one is whole */
  async previous() {
    const folder = this.#folder();
    const { runtime } = readSettings(this.#parts.settings);
    if (folder === null || runtime === undefined || (await runtimeOf(folder)) === runtime) return null;
    const place = this.#keptPlace();
    if ((await runtimeOf(place.cwd)) !== runtime) return null;
    return (await this.#isWhole(place)) ? place : null;
  }

  /** @param {import('./place').Production} place */
  async #isWhole(place) {
    try {
      return (await this.#run(place, 'status')).state === 'ready';
    } catch (error) {
      if (!(error instanceof ActFailed)) throw error;
      return false; // it has said why in the log
    }
  }

  /** @param {import('./place').Production} place @param {[import('./acts').Act, ...string[]]} asked */
  #run(place, ...asked) {
    return this.#parts.acts.run(place, asked).answer;
  }

  /** @param {string} folder of the launcher that came with the app */
  async #keep(folder) {
    const kept = this.#keptPlace().cwd;
    const fresh = `${kept}.new`;
    const { path: program } = await readLauncher(folder);
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { recursive: true });
    for (const name of [program, ...STARTERS])
      await cp(path.join(folder, name), path.join(fresh, name), { recursive: true, verbatimSymlinks: true });
    await rm(kept, { recursive: true, force: true });
    await rename(fresh, kept);
  }

  /** @returns {import('./place').Production} */
  #keptPlace() {
    const { user, platform } = this.#parts;
    const resourcesPath = path.join(user, 'engine-before');
    const place = locateEngine({ isPackaged: true, platform, resourcesPath, repository: '', environment: {} });
    return /** @type {import('./place').Production} */ (place);
  }

  /** @returns {string | null} of the engine that came with the app, if one did */
  #folder() {
    const place = this.#parts.place();
    return place.mode === 'production' ? place.cwd : null;
  }

  /** @returns {Promise<string | null>} the sha256 of the manifest that the app was packed with; null for one that was not packed */
  async #record() {
    try {
      const { engineManifest } = JSON.parse(await readFile(path.join(this.#parts.app, 'package.json'), 'utf8'));
      return engineManifest ?? null;
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return null;
      throw error;
    }
  }

  /** @param {import('./settings').Settings} news */
  #remember(news) {
    const { settings } = this.#parts;
    writeSettings(settings, { ...readSettings(settings), ...news });
  }
}

/**
 * @param {string} folder
 * @param {string} expected the sha256 of its manifest
 * @returns {Promise<string[]>} what is wrong; the archive's own digests are the launcher's to check, as it unpacks
 */
async function problemsOf(folder, expected) {
  try {
    if ((await digestOf(folder, 'manifest.json')) !== expected) return ['manifest.json is not the one of this app'];
    const [launcher, { index, parts }] = await Promise.all([readLauncher(folder), readManifest(folder)]);
    const found = await Promise.all([
      ...[programOf(launcher), index].map((file) => wrong(folder, file)),
      ...parts.map((file) => wrongSize(folder, file)),
    ]);
    return found.filter((problem) => problem !== null);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return [String(error)];
  }
}

/** @param {string} folder @returns {Promise<string | null>} null where the folder says none that can be read */
async function runtimeOf(folder) {
  try {
    return (await readManifest(folder)).runtime;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return null;
  }
}

/** @param {unknown} error */
const isUnreadable = (error) => error instanceof SyntaxError || isSystemError(error, 'ENOENT', 'EACCES', 'EIO');

module.exports = { Versions };
