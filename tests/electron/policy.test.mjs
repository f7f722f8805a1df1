import fc from 'fast-check';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import * as policy from '../../electron-resources/main/policy.js';

const BASE = 'http://127.0.0.1:8003';
const FOLDERS = { app: '/opt/app/dist', engine: '/opt/app/first-run' };

describe('files of our scheme', () => {
  test.each([
    ['peft-studio://app/', '/opt/app/dist/index.html'],
    ['peft-studio://app/assets/main.js?v=1#a', '/opt/app/dist/assets/main.js'],
    ['peft-studio://engine/script.mjs', '/opt/app/first-run/script.mjs'],
    ['peft-studio://app/a%20b.css', '/opt/app/dist/a b.css'],
    ['peft-studio://other/', null],
    ['https://app/', null],
    ['peft-studio://app/%2e%2e/%2e%2e/etc/passwd', '/opt/app/dist/etc/passwd'],
    ['peft-studio://app/..%2f..%2fetc%2fpasswd', null],
    ['peft-studio://app/..%5c..%5cwindows', null],
    ['peft-studio://app/C%3A/windows', null],
    ['peft-studio://app/a%00.html', null],
    ['peft-studio://app/%E0%A4%A', null],
    ['no url', null],
  ])('%s is %s', (url, file) => expect(policy.fileFor(url, FOLDERS)).toBe(file));

  test('no URL at all leaves its folder', () => {
    const piece = fc.oneof(
      fc.constantFrom('..', '%2e%2e', '..%2f', '%2f', '%5c', '/', '//', '.', '%00'),
      fc.webPath(),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.constantFrom('app', 'engine'), fc.array(piece), (host, pieces) => {
        const file = policy.fileFor(`peft-studio://${host}/${pieces.join('/')}`, FOLDERS);
        if (file !== null) expect(path.resolve(file).startsWith(FOLDERS[host])).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the token', () => {
  const page = 'peft-studio://app/';
  const backend = { base: BASE, token: 't' };
  const sent = (url, pageUrl = page) => policy.withToken({ url, requestHeaders: { accept: '*' }, pageUrl }, backend);

  test.each([
    'http://127.0.0.1:8003/api',
    'http://localhost:8003/',
    'ws://localhost:8003/ws/x',
    'ws://127.0.0.1:8003/',
  ])('goes to %s', (url) => {
    expect(sent(url)).toEqual({ accept: '*', Authorization: 'Bearer t' });
  });

  test.each([
    'http://127.0.0.1:8000/',
    'https://127.0.0.1:8003/',
    'http://127.0.0.1.evil:8003/',
    'http://127.0.0.1:8003@evil/',
    'http://evil/?http://127.0.0.1:8003/',
    'x',
  ])('does not go to %s', (url) => expect(sent(url)).toEqual({ accept: '*' }));

  test.each(['https://evil.example/', 'peft-studio://other/', 'file:///x', '', undefined])(
    'does not come from %s',
    (from) => {
      expect(policy.withToken({ url: `${BASE}/`, requestHeaders: {}, pageUrl: from }, backend)).toEqual({});
    },
  );

  test('replaces what a page sends as its own', () => {
    expect(
      policy.withToken({ url: `${BASE}/`, requestHeaders: { authorization: 'x' }, pageUrl: page }, backend),
    ).toEqual({ Authorization: 'Bearer t' });
  });

  test('goes to no host but the backend’s, whatever the URL', () => {
    fc.assert(
      fc.property(fc.webUrl({ withFragments: true, withQueryParameters: true }), (url) => {
        expect(sent(url)).not.toHaveProperty('Authorization');
      }),
      { numRuns: 1_000 },
    );
  });

  test('of a remote backend goes there alone', () => {
    const remote = { base: 'https://gpu.example', token: 'r' };
    expect(policy.withToken({ url: 'wss://gpu.example/ws', requestHeaders: {}, pageUrl: page }, remote)).toEqual({
      Authorization: 'Bearer r',
    });
    expect(policy.withToken({ url: `${BASE}/`, requestHeaders: {}, pageUrl: page }, remote)).toEqual({});
    expect(policy.tokenPatterns(remote.base)).toEqual(['https://gpu.example/*', 'wss://gpu.example/*']);
  });
});

test.each([
  ['https://github.com/a', 'browser'],
  ['http://127.0.0.1:7860/', 'browser'],
  ['http://localhost:8003/api/report.zip', 'download'],
  ['http://example.com/', 'deny'],
  ['file:///etc/passwd', 'deny'],
  ['javascript:alert(1)', 'deny'],
  ['smb://host/share', 'deny'],
  ['', 'deny'],
])('a window for %s: %s', (url, fate) => expect(policy.windowFor(url, BASE)).toBe(fate));

test('pages may write to the clipboard, and nothing else', () => {
  expect(policy.mayUse('clipboard-sanitized-write', 'peft-studio://app/')).toBe(true);
  expect(policy.mayUse('clipboard-sanitized-write', 'https://evil.example/')).toBe(false);
  for (const permission of ['clipboard-read', 'media', 'geolocation', 'openExternal', 'notifications']) {
    expect(policy.mayUse(permission, 'peft-studio://app/')).toBe(false);
  }
});

test('the app’s pages may connect to the backend by each of its names, and scripts come from us alone', () => {
  const text = policy.contentPolicy('app', BASE);
  for (const origin of ['http://127.0.0.1:8003', 'http://localhost:8003', 'ws://127.0.0.1:8003', 'ws://localhost:8003'])
    expect(text).toContain(origin);
  expect(text).toContain("default-src 'self'");
  expect(text).not.toMatch(/script-src|unsafe-eval/);
  expect(policy.contentPolicy('engine', BASE)).not.toContain('unsafe');
});
