'use strict';

// What the app's pages ask for, channel by channel.

const { readFile } = require('node:fs/promises');
const net = require('node:net');
const { BRIDGE } = require('../channels');

const LOG_CHARACTERS = 200_000;

/**
 * @typedef {Readonly<{
 *   version: string,
 *   manager: import('./backend-service-manager').BackendServiceManager,
 *   updater: ReturnType<typeof import('./updater').connectUpdater>,
 *   log: import('./log').Log,
 *   commands: Pick<import('./commands').Commands, 'press' | 'restart'>,
 *   openPath: (path: string) => Promise<string>,
 *   notify: (note: {title: string, body: string, urgency: string, silent: boolean}) => void,
 *   setProgress: (fraction: number) => void,
 * }>} Parts
 */

/**
 * Returns the function of each channel.
 *
 * @param {Parts} parts
 * @returns {Readonly<Record<string, (...args: any[]) => unknown>>}
 */
function invocations({ version, manager, updater, log, commands, openPath, notify, setProgress }) {
  return Object.freeze({
    [BRIDGE.getAppVersion]: () => ({ version }),
    [BRIDGE.checkForUpdates]: () => updater.check(),
    [BRIDGE.downloadUpdate]: () => updater.download(),
    [BRIDGE.installUpdate]: () => updater.install(),
    [BRIDGE.installDependencies]: () => succeed(() => commands.press('repair')),
    [BRIDGE.getBackendStatus]: () => manager.status(),
    [BRIDGE.restartBackend]: async () => {
      await commands.restart({ forced: false });
      return manager.status();
    },
    [BRIDGE.forceRestartBackend]: async () => {
      await commands.restart({ forced: true });
      return manager.status();
    },
    [BRIDGE.checkBackendHealth]: () => manager.checkHealth(),
    [BRIDGE.getBackendLogs]: async () => ({
      logPath: log.file,
      logs: (await readFile(log.file, 'utf8')).slice(-LOG_CHARACTERS),
    }),
    [BRIDGE.openLogFile]: async () => {
      const reason = await openPath(log.file);
      if (reason !== '') throw new Error(reason);
      return { logPath: log.file };
    },
    [BRIDGE.checkPort]: async (port) => ({ port, available: await isFree(port) }),
    [BRIDGE.showNotification]: ({ title, message, urgency, sound }) =>
      succeed(async () =>
        notify({
          title: String(title),
          body: String(message),
          urgency: URGENCIES[urgency] ?? 'normal',
          silent: sound === false,
        }),
      ),
    [BRIDGE.setProgress]: (fraction) => succeed(async () => setProgress(fraction > 0 ? Math.min(fraction, 1) : -1)),
    // No system tells Electron; showing a note to the system is right in either case, since it decides itself.
    [BRIDGE.checkDND]: () => ({ enabled: false }),
  });
}

/** Pages know one word more than the systems do. @type {Readonly<Record<string, string>>} */
const URGENCIES = Object.freeze({ low: 'low', normal: 'normal', high: 'critical', critical: 'critical' });

/**
 * Does something whose failure a page shows: a rejection would reach it with Electron's own words before it.
 *
 * @param {() => Promise<void>} act
 * @returns {Promise<{success: boolean, error?: string}>}
 */
function succeed(act) {
  return act().then(
    () => ({ success: true }),
    (error) => ({ success: false, error: error.message }),
  );
}

/** @param {unknown} port @returns {Promise<boolean>} whether a program of this user could listen there now */
function isFree(port) {
  if (!Number.isInteger(port) || Number(port) < 1 || Number(port) > 65535)
    return Promise.reject(new Error(`${port} is no port.`));
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen({ port: Number(port), host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

module.exports = { invocations, isFree, succeed };
