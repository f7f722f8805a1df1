'use strict';

// Errors that a person will read: the engine's own codes, and the app's, to title, text and buttons.

/** @typedef {'retry' | 'show-app' | 'back' | 'repair' | 'use-previous' | 'support-report' | 'open-log' | 'choose-home' | 'get-app' | 'quit'} Button */

/**
 * @typedef {Readonly<{
 *   code: string,
 *   title: string,
 *   message: string,
 *   remedy: string,
 *   buttons: readonly Button[],
 *   end: string | null,
 *   lastLines: readonly string[],
 *   log: string | null,
 * }>} Explanation `end` says how the program ended: its exit status or signal
 *
 * @typedef {Readonly<{title: string, uiCode?: string, message?: string, remedy?: string, buttons: readonly Button[]}>} Entry
 *   `uiCode` is the name that the app's pages know; message and remedy are for codes that bring none
 */

/** What went wrong before there was a process, or in the app's own part. */
class EngineError extends Error {
  /**
   * @param {string} code of ENTRIES
   * @param {string} message what is so
   * @param {{path?: string | null}} [where]
   */
  constructor(code, message, { path = null } = {}) {
    super(message);
    this.name = 'EngineError';
    this.code = code;
    this.path = path;
  }
}

const REINSTALL = 'Install PEFT Studio again: its installation may be corrupted.';

/** @type {Readonly<Record<string, Entry>>} */
const ENTRIES = Object.freeze({
  // The launcher's (launcher/errors.py): they bring message and remedy.
  'archive-missing': { title: 'The installation is incomplete', buttons: ['get-app', 'open-log', 'quit'] },
  'archive-damaged': { title: 'The installation is damaged', buttons: ['retry', 'get-app', 'open-log'] },
  'archive-unreadable': {
    title: 'The installation cannot be read',
    uiCode: 'PERMISSION_DENIED',
    buttons: ['retry', 'get-app', 'open-log'],
  },
  'manifest-invalid': { title: 'The installation is damaged', buttons: ['get-app', 'open-log', 'quit'] },
  'manifest-too-new': { title: 'PEFT Studio needs an update', buttons: ['get-app', 'quit'] },
  'wrong-platform': { title: 'This PEFT Studio is for another kind of computer', buttons: ['get-app', 'quit'] },
  'system-too-old': { title: 'This system is too old for the engine', buttons: ['get-app', 'quit'] },
  'disk-full': { title: 'The disk is full', buttons: ['retry', 'choose-home', 'quit'] },
  'home-not-writable': {
    title: 'The folder of the engine cannot be written',
    uiCode: 'PERMISSION_DENIED',
    buttons: ['retry', 'choose-home', 'quit'],
  },
  'home-without-locks': { title: 'This disk cannot hold the engine', buttons: ['choose-home', 'retry', 'quit'] },
  'home-missing': { title: 'The disk with the engine is not there', buttons: ['retry', 'open-log', 'quit'] },
  'place-unusable': { title: 'This place cannot be used', buttons: ['choose-home', 'retry', 'quit'] },
  'path-too-long': { title: 'The folder of the engine has too long a path', buttons: ['choose-home', 'quit'] },
  'path-not-text': { title: 'The folder of the engine has an unusable name', buttons: ['choose-home', 'quit'] },
  busy: { title: 'The engine is already in use', buttons: ['retry', 'quit'] },
  'install-damaged': { title: 'The engine is damaged', buttons: ['repair', 'support-report', 'open-log', 'quit'] },
  'blocked-by-system': {
    title: 'The system blocked the engine',
    uiCode: 'PERMISSION_DENIED',
    buttons: ['retry', 'choose-home', 'open-log'],
  },
  'relocation-failed': {
    title: 'The engine could not be set up',
    buttons: ['repair', 'support-report', 'open-log', 'quit'],
  },
  'wrong-command-line': { title: 'App and engine do not fit together', buttons: ['get-app', 'open-log', 'quit'] },
  'backend-not-started': {
    title: 'The engine does not start',
    uiCode: 'PROCESS_START_FAILED',
    buttons: ['repair', 'retry', 'support-report', 'open-log'],
  },
  // The backend's (backend/errors.py): they bring message and remedy too.
  'ports-taken': { title: 'No free port', uiCode: 'NO_AVAILABLE_PORTS', buttons: ['retry', 'quit'] },
  'data-dir-not-writable': {
    title: 'Your data folder cannot be written',
    uiCode: 'PERMISSION_DENIED',
    buttons: ['retry', 'choose-home', 'quit'],
  },
  'address-not-available': { title: 'This address cannot be used', buttons: ['retry', 'open-log', 'quit'] },
  'cannot-join': { title: 'This machine cannot join the training', buttons: ['retry', 'open-log', 'quit'] },
  'module-missing': {
    title: 'A part of the engine is missing',
    uiCode: 'MISSING_PACKAGE',
    buttons: ['repair', 'support-report', 'open-log', 'quit'],
  },
  // Ours.
  EXECUTABLE_NOT_FOUND: { title: 'The engine is missing', remedy: REINSTALL, buttons: ['repair', 'get-app', 'quit'] },
  PERMISSION_DENIED: {
    title: 'The engine may not be run',
    remedy: 'Allow the program in your security software, or install PEFT Studio again.',
    buttons: ['retry', 'get-app', 'open-log'],
  },
  PYTHON_NOT_FOUND: {
    title: 'Python is missing',
    remedy: 'Install Python 3.10 or newer, and start again.',
    buttons: ['retry', 'quit'],
  },
  BACKEND_NOT_FOUND: {
    title: 'The backend is missing',
    remedy: 'Start the app from a whole checkout of its repository.',
    buttons: ['retry', 'quit'],
  },
  REMOTE_INVALID: {
    title: 'The remote engine cannot be used',
    remedy: 'Correct PEFT_STUDIO_REMOTE_URL, and start again.',
    buttons: ['quit'],
  },
  REMOTE_UNSEEN: {
    title: 'This app cannot show a remote engine',
    remedy: 'Unset PEFT_STUDIO_REMOTE_URL, and start again.',
    buttons: ['quit'],
  },
  PAGES_NOT_LOADED: {
    title: 'The app cannot be shown',
    remedy: 'Try again; if it fails again, install PEFT Studio again.',
    buttons: ['show-app', 'get-app', 'open-log', 'quit'],
  },
  UPDATE_INCOMPLETE: { title: 'The update is incomplete', remedy: REINSTALL, buttons: ['get-app', 'retry', 'quit'] },
  PORT_IN_USE: {
    title: 'Port 8000 is in use',
    remedy: 'Close the program that uses it, then try again.',
    buttons: ['retry', 'quit'],
  },
  PROCESS_START_FAILED: {
    title: 'The engine could not be started',
    remedy: 'Try again; if it fails again, look at the log.',
    buttons: ['retry', 'repair', 'support-report', 'open-log'],
  },
  'processes-left': {
    title: 'The engine did not end',
    message: 'Processes of the engine are still there, though they were killed.',
    remedy: 'Restart the computer: the system holds them.',
    buttons: ['open-log', 'quit'],
  },
  'backend-hung': {
    title: 'The engine does not answer',
    message: 'The engine runs, but no longer answers.',
    remedy: 'Try again; if it happens again, repair the engine.',
    uiCode: 'PROCESS_START_FAILED',
    buttons: ['retry', 'repair', 'support-report', 'open-log'],
  },
  'backend-ended': {
    title: 'The engine stopped',
    message: 'The engine ended by itself.',
    remedy: 'Try again; if it happens again, repair the engine.',
    uiCode: 'PROCESS_START_FAILED',
    buttons: ['retry', 'repair', 'support-report', 'open-log'],
  },
});

/**
 * For codes of an engine newer than this app.
 *
 * @type {Entry}
 */
const UNKNOWN = {
  title: 'The engine reports a problem',
  remedy: 'Try again; if it fails again, look at the log.',
  buttons: ['retry', 'open-log', 'quit'],
};

/** @type {readonly string[]} */
const NO_LINES = Object.freeze([]);

const MISSING_MODULE = /(?:ModuleNotFoundError|ImportError): No module named '([^']+)'/;

/**
 * Returns what to tell a person of a failure.
 *
 * @param {import('./state').Failure} failure
 * @param {{exhausted?: boolean}} [how] `exhausted`: it was the last of several restarts
 * @returns {Explanation}
 */
function explain(failure, { exhausted = false } = {}) {
  const lost = missingModule(failure.lastLines);
  const code = failure.code === 'backend-ended' && lost !== null ? 'module-missing' : failure.code;
  const entry = Object.hasOwn(ENTRIES, code) ? ENTRIES[code] : UNKNOWN;
  const named = code === 'module-missing' && lost !== null ? `The module ${lost} is missing.` : null;
  return Object.freeze({
    code: exhausted ? 'MAX_RESTARTS_EXCEEDED' : (entry.uiCode ?? code),
    title: entry.title,
    message: failure.message ?? named ?? entry.message ?? entry.title,
    remedy: failure.remedy ?? entry.remedy ?? 'Repair the engine.',
    buttons: entry.buttons,
    end: describeEnd(failure),
    lastLines: failure.lastLines,
    log: failure.log,
  });
}

/** @param {readonly string[]} lines @returns {string | null} the name of the module that Python did not find */
function missingModule(lines) {
  for (const line of lines.toReversed()) {
    const found = MISSING_MODULE.exec(line);
    if (found !== null) return found[1];
  }
  return null;
}

/** @param {{exitCode: number | null, signal: string | null}} failure */
function describeEnd({ exitCode, signal }) {
  if (signal !== null) return `It was ended by ${signal}.`;
  if (exitCode === null) return null;
  // Windows' own statuses are known by their hexadecimal form: 3221225477 is 0xC0000005, an access violation.
  const shown = exitCode > 0xffff ? `0x${exitCode.toString(16).toUpperCase()}` : String(exitCode);
  return `It ended with status ${shown}.`;
}

/**
 * Returns why a child ended, as it said itself, or as its end tells.
 *
 * @param {import('./child').End} end
 * @param {Readonly<import('./events').Failed> | null} announced
 * @returns {import('./state').Failure}
 */
function failureOf(end, announced) {
  const { exitCode, signal, lastLines, error } = end;
  const silent = { message: error?.message ?? null, remedy: null, path: null, log: null };
  // What could not be ended must not be followed by another one.
  const left = end.gone ? null : { ...silent, code: 'processes-left' };
  const { code, message, remedy, path, log } = left ?? announced ?? { ...silent, code: codeOfEnd(end) };
  return Object.freeze({ code, message, remedy, path, log, exitCode, signal, lastLines });
}

/** @param {import('./child').End} end */
function codeOfEnd({ error, lastLines }) {
  if (error === null) return missingModule(lastLines) === null ? 'backend-ended' : 'module-missing';
  const codes = /** @type {Record<string, string>} */ ({
    ENOENT: 'EXECUTABLE_NOT_FOUND',
    EACCES: 'PERMISSION_DENIED',
    EPERM: 'PERMISSION_DENIED',
  });
  return codes[String(Reflect.get(error, 'code'))] ?? 'PROCESS_START_FAILED';
}

/** @param {unknown} error @returns {import('./state').Failure} of an error before there was a process */
function failureOfError(error) {
  const known = error instanceof EngineError ? error : new EngineError('PROCESS_START_FAILED', String(error));
  const { code, message, path } = known;
  return Object.freeze({
    code,
    message,
    remedy: null,
    path,
    log: null,
    exitCode: null,
    signal: null,
    lastLines: NO_LINES,
  });
}

module.exports = { ENTRIES, EngineError, describeEnd, explain, failureOf, failureOfError, missingModule };
