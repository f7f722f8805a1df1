'use strict';

// Where the engine is: in development an interpreter and backend/, in production the launcher among the app's
// resources, or another machine. Pure; whether it is really there is for program.js to say.

const path = require('node:path');
const { EngineError } = require('./errors');

const PORT = 8000;

/**
 * @typedef {Readonly<{
 *   isPackaged: boolean,
 *   platform: NodeJS.Platform,
 *   resourcesPath: string,
 *   repository: string,
 *   environment: Readonly<NodeJS.ProcessEnv>,
 * }>} Context what deciding needs to know
 *
 * @typedef {Readonly<{mode: 'production', command: string, args: readonly string[], cwd: string}>} Production
 * @typedef {Readonly<{mode: 'development', interpreters: readonly string[], backend: string, args: readonly string[], cwd: string}>} Development
 * @typedef {Readonly<{mode: 'remote', url: string, token: string}>} Remote
 * @typedef {Readonly<{mode: 'refused', name: string, error: EngineError}>} Refused a wish that cannot be met, and why
 * @typedef {Production | Development | Remote | Refused} Place
 */

/**
 * Decides where the engine is.
 *
 * @param {Context} context
 * @returns {Place}
 */
function locateEngine(context) {
  const { PEFT_STUDIO_REMOTE_URL: url, PEFT_STUDIO_REMOTE_TOKEN: token } = context.environment;
  if (url) return locateRemote(url, token ?? '');
  // The platform is given, so that Windows' paths can be looked at on any machine.
  const { join } = context.platform === 'win32' ? path.win32 : path.posix;
  const backendArgs = ['--port', String(PORT)];
  if (!context.isPackaged) {
    return Object.freeze({
      mode: 'development',
      interpreters: Object.freeze(['python3', 'python', 'py']),
      backend: join(context.repository, 'backend', '__main__.py'),
      args: Object.freeze(['-m', 'backend', '--json', '--until-eof', ...backendArgs]),
      cwd: context.repository,
    });
  }
  const folder = join(context.resourcesPath, 'backend');
  return Object.freeze({
    mode: 'production',
    command: join(folder, context.platform === 'win32' ? 'peft_engine.exe' : 'peft_engine'),
    args: Object.freeze(['--json', '--until-eof', '--', ...backendArgs]),
    cwd: folder,
  });
}

/** @param {string} text @param {string} token @returns {Remote | Refused} */
function locateRemote(text, token) {
  // Whoever starts the engine says so, before everybody's eyes.
  /** @param {string} reason */
  const refuse = (reason) =>
    Object.freeze({
      mode: /** @type {const} */ ('refused'),
      name: text,
      error: new EngineError('REMOTE_INVALID', reason),
    });
  if (!URL.canParse(text)) return refuse(`${text} is no address of a backend.`);
  const url = new URL(text);
  const here = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  // Over plain HTTP, whoever is on the way reads the token.
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && here))
    return refuse(`${text} has to begin with https://, since a token is sent there.`);
  if (token === '') return refuse(`There is no token for ${text}: set PEFT_STUDIO_REMOTE_TOKEN.`);
  return Object.freeze({ mode: 'remote', url: url.origin, token });
}

/** @param {Remote} place @returns {Readonly<import('./events').Listening>} what a backend of our own would have said */
function greetingOf(place) {
  const { hostname: host, port, protocol } = new URL(place.url);
  return Object.freeze({
    event: 'listening',
    host,
    port: Number(port) || (protocol === 'https:' ? 443 : 80),
    pid: 0,
    version: '',
  });
}

/** @param {Place} place @returns {string} what runs there, for logs */
function nameOf(place) {
  if (place.mode === 'remote') return place.url;
  if (place.mode === 'refused') return place.name;
  return place.mode === 'production' ? place.command : place.backend;
}

module.exports = { PORT, greetingOf, locateEngine, nameOf };
