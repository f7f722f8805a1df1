'use strict';

// What the app's pages may ask of the main process. A sandboxed preload can require nothing of ours, so the channels
// stand here a second time; a test holds them to channels.js.

const { contextBridge, ipcRenderer } = require('electron');

/** @param {string} channel @returns {(...args: unknown[]) => Promise<unknown>} */
const ask =
  (channel) =>
  (...args) =>
    ipcRenderer.invoke(channel, ...args);

/** @param {string} channel @returns {(callback: (payload: unknown) => void) => () => void} which returns how to stop */
const on = (channel) => (callback) => {
  const listener = (/** @type {unknown} */ _event, /** @type {unknown} */ payload) => callback(payload);
  ipcRenderer.on(channel, listener);
  return () => ipcRenderer.removeListener(channel, listener);
};

contextBridge.exposeInMainWorld('api', {
  getAppVersion: ask('get-app-version'),
  checkForUpdates: ask('check-for-updates'),
  downloadUpdate: ask('download-update'),
  installUpdate: ask('install-update'),
  installDependencies: ask('backend-install-dependencies'),
  getBackendStatus: ask('backend-status'),
  restartBackend: ask('backend-restart'),
  forceRestartBackend: ask('backend-force-restart'),
  checkBackendHealth: ask('backend-health-check'),
  getBackendLogs: ask('backend-get-logs'),
  openLogFile: ask('open-log-file'),
  checkPort: ask('backend-check-port'),
  showNotification: ask('show-notification'),
  setProgress: ask('set-progress'),
  checkDND: ask('check-dnd'),
  onUpdateAvailable: on('update-available'),
  onUpdateDownloadProgress: on('update-download-progress'),
  onUpdateDownloaded: on('update-downloaded'),
  onUpdateStatus: on('update-status'),
  onUpdateChecksumFailed: on('update-checksum-failed'),
  onBackendStatus: on('backend-status'),
  onEngineArrival: on('engine-arrival'),
  onConfigurationImported: on('configuration-imported'),
});

// The error page of the older interface calls this one channel by another name.
contextBridge.exposeInMainWorld('electron', {
  invoke: (/** @type {string} */ channel) =>
    channel === 'open-log-file' ? ipcRenderer.invoke(channel) : Promise.reject(new Error(`${channel} is not open`)),
});
