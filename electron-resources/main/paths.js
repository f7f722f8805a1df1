'use strict';

// Where the engine is: in development an interpreter and backend/, in production the launcher among the app's
// resources, or another machine. Deciding is pure; looking whether it is really there is not.

const { constants } = require('node:fs');
const { access, chmod, stat } = require('node:fs/promises');
const path = require('node:path');
const { execFile } = require('node:child_process');
const { promisify } = require('node:util');
const { EngineError } = require('./errors');
const { isSystemError } = require('./processes');

const PORT = 8000;
const LEAST_PYTHON = Object.freeze([3, 10]);
const PYTHON_MS = 10_000;

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
 * @typedef {Production | Development | Remote} Place
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

/** @param {string} text @param {string} token @returns {Remote} */
function locateRemote(text, token) {
  if (!URL.canParse(text)) throw new EngineError('REMOTE_INVALID', `${text} is no address of a backend.`);
  const url = new URL(text);
  const here = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  // Over plain HTTP, whoever is on the way reads the token.
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && here)) {
    throw new EngineError('REMOTE_INVALID', `${text} has to begin with https://, since a token is sent there.`);
  }
  if (token === '')
    throw new EngineError('REMOTE_INVALID', `There is no token for ${text}: set PEFT_STUDIO_REMOTE_TOKEN.`);
  return Object.freeze({ mode: 'remote', url: url.origin, token });
}

/**
 * Returns what to run; throws EngineError where it is not there, or cannot be made to run.
 *
 * @param {Production | Development} place
 * @param {NodeJS.Platform} platform
 * @returns {Promise<Readonly<{command: string, args: readonly string[], cwd: string}>>}
 */
async function checkEngine(place, platform) {
  if (place.mode === 'production') {
    await requireFile(place.command, 'EXECUTABLE_NOT_FOUND');
    if (platform !== 'win32') await requireExecutable(place.command);
    return place;
  }
  await requireFile(place.backend, 'BACKEND_NOT_FOUND');
  return Object.freeze({ command: await findPython(place.interpreters), args: place.args, cwd: place.cwd });
}

/** @param {string} file @param {string} code of the error where there is no such file */
async function requireFile(file, code) {
  let found;
  try {
    found = await stat(file);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTDIR'))
      throw new EngineError('PERMISSION_DENIED', `${file} cannot be read: ${error}`, { path: file });
    throw new EngineError(code, `${file} is missing.`, { path: file });
  }
  if (!found.isFile()) throw new EngineError(code, `${file} is no file.`, { path: file });
}

/** @param {string} file */
async function requireExecutable(file) {
  if (await isExecutable(file)) return;
  // Some archive programs drop the executable bit.
  try {
    await chmod(file, 0o755);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EngineError('PERMISSION_DENIED', `${file} may not be run, and that cannot be changed: ${reason}`, {
      path: file,
    });
  }
  if (!(await isExecutable(file)))
    throw new EngineError('PERMISSION_DENIED', `${file} may not be run.`, { path: file });
}

/** @param {string} file */
async function isExecutable(file) {
  // For root, access() says yes to a file without any executable bit, which then does not start.
  if (((await stat(file)).mode & 0o111) === 0) return false;
  try {
    await access(file, constants.X_OK);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EACCES', 'EPERM')) return false;
    throw error;
  }
}

/**
 * Returns the first interpreter that is new enough.
 *
 * @param {readonly string[]} names
 */
async function findPython(names) {
  const found = [];
  for (const name of names) {
    try {
      const version = await askVersion(name);
      if (isNewEnough(version)) return name;
      found.push(`${name} is ${version}`);
    } catch (error) {
      // Missing, broken, or a shop's stand-in (Windows has one): not this one, but the message shall say why.
      found.push(`${name} cannot be run (${Reflect.get(/** @type {object} */ (error), 'code')})`);
    }
  }
  throw new EngineError(
    'PYTHON_NOT_FOUND',
    `Python ${LEAST_PYTHON.join('.')} or newer is needed; ${found.join(', ')}.`,
  );
}

/** @param {string} name @returns {Promise<string>} */
async function askVersion(name) {
  const options = { timeout: PYTHON_MS, windowsHide: true };
  const { stdout } = await promisify(execFile)(
    name,
    ['-c', 'import platform; print(platform.python_version())'],
    options,
  );
  return stdout.trim();
}

/** @param {string} version for example 3.11.7 */
function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > LEAST_PYTHON[0] || (major === LEAST_PYTHON[0] && minor >= LEAST_PYTHON[1]);
}

/** Shown instead of the engine's real environment, which holds the user's secrets too. */
const SHOWN_ENVIRONMENT = Object.freeze({ PEFT_STUDIO_TOKEN: '(secret)' });

/** @param {Readonly<NodeJS.ProcessEnv>} environment of this process @param {string} token @returns {NodeJS.ProcessEnv} */
function engineEnvironment(environment, token) {
  const { PEFT_STUDIO_REMOTE_TOKEN: _token, ELECTRON_RUN_AS_NODE: _node, ...rest } = environment;
  return { ...rest, PEFT_STUDIO_TOKEN: token };
}

/**
 * Returns what follows `--engine` on the app's own command line, or null where that is not there.
 *
 * @param {readonly string[]} argv
 * @returns {readonly string[] | null}
 */
function engineArguments(argv) {
  const at = argv.indexOf('--engine');
  return at === -1 ? null : argv.slice(at + 1);
}

/** @param {import('./paths').Remote} place @returns {Readonly<import('./events').Listening>} what a backend of our own would have said */
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
  return place.mode === 'production' ? place.command : place.backend;
}

module.exports = {
  PORT,
  SHOWN_ENVIRONMENT,
  checkEngine,
  engineArguments,
  engineEnvironment,
  findPython,
  greetingOf,
  isNewEnough,
  locateEngine,
  nameOf,
};
