'use strict';

// The app's log: sentences, the engine's own lines, and one structured record for each failure. Never the token.

const os = require('node:os');
const path = require('node:path');
const electronLog = require('electron-log/node');

const LARGEST_BYTES = 5 * 1024 * 1024;

/**
 * @typedef {Readonly<{
 *   file: string,
 *   info: (text: string) => void,
 *   warn: (text: string) => void,
 *   error: (text: string) => void,
 *   line: (stream: 'stdout' | 'stderr', line: string) => void,
 *   failure: (what: {mode: string, backendPath: string, failure: import('./state').Failure}) => void,
 * }>} Log
 */

/**
 * Opens the log.
 *
 * @param {string} folder
 * @param {{secrets: readonly string[], console?: boolean}} options `secrets` never reach the file
 * @returns {Log}
 */
function openLog(folder, { secrets, console: toConsole = false }) {
  const file = path.join(folder, 'main.log');
  const logger = electronLog.create({ logId: file });
  logger.transports.file.resolvePathFn = () => file;
  logger.transports.file.maxSize = LARGEST_BYTES; // one older file is kept beside it
  logger.transports.console.level = toConsole ? 'info' : false;
  /** @param {string} text */
  const clean = (text) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '(secret)'), text);
  /** @param {'info' | 'warn' | 'error'} level @returns {(text: string) => void} */
  const at = (level) => (text) => logger[level](clean(text));
  return Object.freeze({
    file,
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    line: (stream, line) => at('info')(`engine ${stream}: ${line}`),
    failure: (what) => at('error')(JSON.stringify(recordOf(what, new Date()))),
  });
}

/**
 * Returns the record of a failure, as support's tools read it.
 *
 * @param {{mode: string, backendPath: string, failure: import('./state').Failure}} what
 * @param {Date} now
 */
function recordOf({ mode, backendPath, failure }, now) {
  const { code, message, exitCode, signal, lastLines } = failure;
  return Object.freeze({
    type: code,
    mode,
    backendPath,
    error: message,
    exitCode,
    signal,
    stderr: lastLines.join('\n'),
    timestamp: now.toISOString(),
    platform: process.platform,
    arch: os.arch(),
  });
}

module.exports = { openLog, recordOf };
