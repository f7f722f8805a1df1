'use strict';

// Every IPC channel between pages and main process, once. The names in BRIDGE are fixed: the app's pages call them so.

/** Page → main: `window.api`'s method, and the channel that it invokes. */
const BRIDGE = Object.freeze({
  getAppVersion: 'get-app-version',
  checkForUpdates: 'check-for-updates',
  downloadUpdate: 'download-update',
  installUpdate: 'install-update',
  installDependencies: 'backend-install-dependencies',
  getBackendStatus: 'backend-status',
  restartBackend: 'backend-restart',
  forceRestartBackend: 'backend-force-restart',
  checkBackendHealth: 'backend-health-check',
  getBackendLogs: 'backend-get-logs',
  openLogFile: 'open-log-file',
  checkPort: 'backend-check-port',
  showNotification: 'show-notification',
  setProgress: 'set-progress',
  checkDND: 'check-dnd',
});

/** Main → page: `window.api`'s method, and the channel that it listens to. */
const EVENTS = Object.freeze({
  onUpdateAvailable: 'update-available',
  onUpdateDownloadProgress: 'update-download-progress',
  onUpdateDownloaded: 'update-downloaded',
  onUpdateStatus: 'update-status',
  onUpdateChecksumFailed: 'update-checksum-failed',
  onBackendStatus: 'backend-status',
  onEngineArrival: 'engine-arrival',
  onConfigurationImported: 'configuration-imported',
});

/** Between the engine's own page and main. */
const ENGINE = Object.freeze({ view: 'engine-view', viewNow: 'engine-view-now', press: 'engine-press' });

module.exports = { BRIDGE, ENGINE, EVENTS };
