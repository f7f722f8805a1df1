'use strict';

// What pages may do, as pure functions; guard.js applies them.

const path = require('node:path');

const SCHEME = 'peft-studio';

/** The hosts of our scheme: the app's pages, and the engine's own page. The backend allows the first one's origin. */
const APP = `${SCHEME}://app`;
const ENGINE = `${SCHEME}://engine`;

const LOOPBACK = Object.freeze(['127.0.0.1', 'localhost']);

/** @type {Readonly<Record<string, string>>} */
const TYPES = Object.freeze({
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
});

/** @param {string} text @returns {URL | null} */
const parse = (text) => (URL.canParse(text) ? new URL(text) : null);

/**
 * Returns the file that a URL of our scheme means, or null where it means none.
 *
 * @param {string} text
 * @param {Readonly<Record<string, string>>} folders of each host
 * @returns {string | null}
 */
function fileFor(text, folders) {
  const url = parse(text);
  if (url === null || url.protocol !== `${SCHEME}:` || !Object.hasOwn(folders, url.hostname)) return null;
  let name;
  try {
    name = decodeURIComponent(url.pathname);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
  // Encoded separators get past the URL's own normalisation; backslashes are separators on Windows.
  if (/[\\\0:]/.test(name) || name.split('/').includes('..')) return null;
  return path.join(folders[url.hostname], name.endsWith('/') ? `${name}index.html` : name);
}

/** @param {string} file @returns {string} */
function typeOf(file) {
  return TYPES[path.extname(file).toLowerCase()] ?? 'application/octet-stream';
}

/**
 * Returns the Content-Security-Policy of a page.
 *
 * @param {string} host of our scheme
 * @param {string} base of the backend
 */
function contentPolicy(host, base) {
  if (host !== 'app') {
    return "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  }
  const connect = backendOrigins(base).flatMap((origin) => [origin, origin.replace(/^http/, 'ws')]);
  return [
    "default-src 'self'",
    `connect-src 'self' ${connect.join(' ')}`,
    "img-src 'self' data: blob:",
    "style-src 'self' 'unsafe-inline'", // styles set by a component library; scripts stay strict
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** @param {string} base @returns {readonly string[]} the origins under which pages reach the backend */
function backendOrigins(base) {
  const url = new URL(base);
  if (!LOOPBACK.includes(url.hostname)) return [url.origin];
  return LOOPBACK.map((host) => `${url.protocol}//${host}:${url.port}`);
}

/**
 * Returns whether a request goes to the backend, and to nobody else: only then may it carry the token.
 *
 * @param {string} text a URL, of HTTP or WebSocket
 * @param {string} base
 */
function isForBackend(text, base) {
  const url = parse(text.replace(/^ws/, 'http'));
  return url !== null && backendOrigins(base).includes(url.origin);
}

/** @param {string} base @returns {string[]} what webRequest has to look at; its patterns name WebSocket apart */
function tokenPatterns(base) {
  return backendOrigins(base).flatMap((origin) => [`${origin}/*`, `${origin.replace(/^http/, 'ws')}/*`]);
}

/**
 * Returns the headers of a request with the token, where it is one to the backend from a page of ours.
 *
 * @param {{url: string, requestHeaders: Record<string, string>, pageUrl: string | undefined}} sent
 * @param {{base: string, token: string}} backend
 * @returns {Record<string, string>}
 */
function withToken({ url, requestHeaders, pageUrl }, { base, token }) {
  if (!isForBackend(url, base) || pageUrl === undefined || !isOurs(pageUrl)) return requestHeaders;
  const rest = Object.entries(requestHeaders).filter(([name]) => name.toLowerCase() !== 'authorization');
  return { ...Object.fromEntries(rest), Authorization: `Bearer ${token}` };
}

/** @param {string} text @returns {boolean} whether a page is one of ours: nobody else is shown, or listened to */
function isOurs(text) {
  const url = parse(text);
  return url !== null && [APP, ENGINE].includes(`${url.protocol}//${url.host}`);
}

/**
 * Returns what becomes of a window that a page wants to open.
 *
 * @param {string} text
 * @param {string} base
 * @returns {'browser' | 'download' | 'deny'} `download`: within the session, since a browser has no token
 */
function windowFor(text, base) {
  const url = parse(text);
  if (url === null) return 'deny';
  if (isForBackend(text, base)) return 'download';
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.includes(url.hostname))
    ? 'browser'
    : 'deny';
}

/** @param {string} permission @param {string} page */
function mayUse(permission, page) {
  return permission === 'clipboard-sanitized-write' && isOurs(page);
}

module.exports = {
  APP,
  ENGINE,
  SCHEME,
  contentPolicy,
  fileFor,
  isForBackend,
  isOurs,
  mayUse,
  tokenPatterns,
  typeOf,
  windowFor,
  withToken,
};
