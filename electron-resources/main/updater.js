'use strict';

// Updates of the app, told to its pages as they expect it; the engine is stopped before anything is replaced.

/** @typedef {import('electron-updater').AppUpdater} AppUpdater */
/** @typedef {(channel: string, payload: unknown) => void} Send */

const MISMATCH = /sha512 checksum mismatch, expected (\S+), got (\S+)/;

/**
 * Connects an updater with the app's pages.
 *
 * @param {AppUpdater} updater
 * @param {{
 *   send: Send,
 *   canUpdate: boolean,
 *   stopEngine: () => Promise<void>,
 *   startEngine: () => Promise<void>,
 *   log: import('./log').Log,
 * }} parts
 */
function connectUpdater(updater, { send, canUpdate, stopEngine, startEngine, log }) {
  let isInstalling = false;

  updater.autoDownload = false;
  updater.autoInstallOnAppQuit = false; // an install needs the engine stopped, and says so
  updater.on('update-available', ({ version, releaseNotes, releaseDate }) => {
    send('update-available', { version, releaseNotes: notesOf(releaseNotes), releaseDate });
  });
  updater.on('update-not-available', () => send('update-status', { status: 'not-available' }));
  updater.on('download-progress', ({ percent, bytesPerSecond, transferred, total }) => {
    send('update-download-progress', { percent, bytesPerSecond, transferred, total });
  });
  // The updater says so only of a file whose sha512 is the one of the release.
  updater.on('update-downloaded', ({ version, releaseNotes }) => {
    send('update-downloaded', { version, releaseNotes: notesOf(releaseNotes), checksumVerified: true });
  });
  updater.on('error', (error) => {
    tellError(error, { send, log });
    // Nothing is installed, so the app goes on, and needs its engine.
    if (isInstalling) startEngine().catch((reason) => log.error(`after an update that failed: ${reason}`));
    isInstalling = false;
  });

  /** @param {() => Promise<unknown>} act @returns {Promise<{success: boolean}>} */
  const attempt = async (act) => {
    if (!canUpdate) {
      send('update-status', { status: 'not-available', message: 'This build looks for no updates.' });
      return { success: false };
    }
    // Errors are told by the event too; a page waits for that, not for this answer.
    return act().then(
      () => ({ success: true }),
      () => ({ success: false }),
    );
  };
  return Object.freeze({
    check: () => attempt(() => updater.checkForUpdates()),
    download: () => attempt(() => updater.downloadUpdate()),
    install: () =>
      attempt(async () => {
        await stopEngine().catch((error) => {
          tellError(error, { send, log });
          throw error;
        });
        isInstalling = true;
        updater.quitAndInstall(); // where that fails, it says so by the event alone
      }),
  });
}

/** @param {Error} error @param {{send: Send, log: import('./log').Log}} parts */
function tellError(error, { send, log }) {
  log.error(`update: ${error.stack ?? error.message}`);
  const mismatch = MISMATCH.exec(error.message);
  if (mismatch !== null) {
    const [, expected, actual] = mismatch;
    send('update-checksum-failed', { file: 'the downloaded update', expected, actual });
  }
  send('update-status', {
    status: 'error',
    message: error.message,
    type: mismatch === null ? typeOfError(error) : 'checksum-mismatch',
  });
}

/** @param {Error} error @returns {'network' | 'not-found' | 'general'} */
function typeOfError({ message }) {
  if (/\b404\b|ERR_UPDATER_(CHANNEL_FILE_NOT_FOUND|LATEST_VERSION_NOT_FOUND)/.test(message)) return 'not-found';
  return /ENOTFOUND|ECONN|ETIMEDOUT|EAI_AGAIN|net::|socket/i.test(message) ? 'network' : 'general';
}

/**
 * Returns release notes as text: pages show text, and break on the list that the updater may deliver.
 *
 * @param {unknown} notes
 * @returns {string}
 */
function notesOf(notes) {
  if (!Array.isArray(notes)) return typeof notes === 'string' ? notes : '';
  return notes.map(({ version, note }) => `${version}\n${note ?? ''}`.trim()).join('\n\n');
}

module.exports = { connectUpdater, notesOf, typeOfError };
