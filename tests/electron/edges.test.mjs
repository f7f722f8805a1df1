// The small parts between the engine's service and the pages: updates, settings, the bridge, the log, arrival.

import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { watchArrival } from '../../electron-resources/main/arrival.js';
import { invocations, isFree } from '../../electron-resources/main/bridge.js';
import { askHealth } from '../../electron-resources/main/health.js';
import { openLog, recordOf } from '../../electron-resources/main/log.js';
import { OpenedFiles } from '../../electron-resources/main/opened.js';
import { readSettings, writeSettings } from '../../electron-resources/main/settings.js';
import { connectUpdater, notesOf, typeOfError } from '../../electron-resources/main/updater.js';
import { HANG_MS, folder, keptLog, later, serve } from './engines.mjs';
import { failure } from './failures.mjs';

describe('updates', () => {
  function updates({ canUpdate = true, stop, ...acts } = {}) {
    const sent = [];
    const order = [];
    const log = keptLog();
    const updater = Object.assign(new EventEmitter(), { quitAndInstall: () => order.push('install'), ...acts });
    const stopEngine = async () => void order.push('stop');
    const startEngine = async () => void order.push('start');
    const connected = connectUpdater(updater, {
      send: (...what) => sent.push(what),
      canUpdate,
      stopEngine: stop ?? stopEngine,
      startEngine,
      log,
    });
    return { updater, sent, order, log, ...connected };
  }

  test('a build that looks for no updates says so, since the page waits for an event', async () => {
    const { check, sent } = updates({ canUpdate: false });
    expect(await check()).toEqual({ success: false });
    expect(sent).toEqual([['update-status', expect.objectContaining({ status: 'not-available' })]]);
  });

  test('the engine is stopped before an install', async () => {
    const { install, order } = updates();
    await install();
    expect(order).toEqual(['stop', 'install']);
  });

  test('an engine that does not end is why nothing is installed, and that is told', async () => {
    const stop = () => Promise.reject(new Error('Processes of the engine are still there.'));
    const { install, order, sent, log } = updates({ stop });
    expect(await install()).toEqual({ success: false });
    expect(order).toEqual([]);
    expect(sent).toEqual([
      ['update-status', expect.objectContaining({ status: 'error', message: expect.stringContaining('still there') })],
    ]);
    expect(log.texts.join()).toContain('still there');
  });

  test('after an install that failed the engine runs again, once', async () => {
    const quitAndInstall = () => updater.emit('error', new Error('The file is gone.'));
    const { updater, install, order, sent } = updates({ quitAndInstall });
    await install();
    updater.emit('error', new Error('another one, of a later download'));
    expect(order).toEqual(['stop', 'start']);
    expect(sent[0]).toEqual(['update-status', expect.objectContaining({ message: 'The file is gone.' })]);
  });

  test('notes are text, whatever the updater has', () => {
    const list = [
      { version: '2', note: 'b' },
      { version: '1', note: null },
    ];
    expect([notesOf('a'), notesOf(null), notesOf(undefined), notesOf(list)]).toEqual(['a', '', '', '2\nb\n\n1']);
  });

  test('a wrong checksum is told with both sums', () => {
    const { updater, sent } = updates();
    updater.emit('error', new Error('sha512 checksum mismatch, expected AAA, got BBB'));
    expect(sent[0]).toEqual([
      'update-checksum-failed',
      { file: 'the downloaded update', expected: 'AAA', actual: 'BBB' },
    ]);
    expect(sent[1]).toEqual(['update-status', expect.objectContaining({ status: 'error', type: 'checksum-mismatch' })]);
  });

  test.each([
    ['net::ERR_NAME_NOT_RESOLVED', 'network'],
    ['HttpError: 404 Not Found', 'not-found'],
    ['anything', 'general'],
  ])('%s is of the type %s', (message, type) => expect(typeOfError(new Error(message))).toBe(type));
});

describe('settings', () => {
  test('are kept, and those that make no sense are forgotten', () => {
    const file = path.join(folder(), 'deep', 'settings.json');
    expect(readSettings(file)).toEqual({});
    writeSettings(file, { runtime: 'abc', engineVersion: '1' });
    expect(readSettings(file)).toEqual({ runtime: 'abc', engineVersion: '1' });
    for (const text of ['', '{"runtime": 1}', '{"another": "text"}', 'null', '[]', '{']) {
      fs.writeFileSync(file, text);
      expect(readSettings(file)).toEqual({});
    }
  });
});

describe('the bridge', () => {
  const bridge = (parts) => invocations({ version: '1', log: keptLog(), ...parts });

  test('a port is free, or not', async () => {
    const { port } = await serve(() => undefined);
    expect(await isFree(port)).toBe(false);
    await expect(isFree(0)).rejects.toThrow('0 is no port');
    await expect(isFree('8000')).rejects.toThrow('is no port');
  });

  test('“high” is a word of the pages; systems say critical', async () => {
    const notes = [];
    await bridge({ notify: (note) => notes.push(note) })['show-notification']({
      title: 't',
      message: 'm',
      urgency: 'high',
      sound: false,
    });
    expect(notes).toEqual([{ title: 't', body: 'm', urgency: 'critical', silent: true }]);
  });

  test('progress ends at nothing', async () => {
    const shares = [];
    const table = bridge({ setProgress: (share) => shares.push(share) });
    for (const share of [0.5, 0, -3, 7]) await table['set-progress'](share);
    expect(shares).toEqual([0.5, -1, -1, 1]);
  });

  test('what fails says why', async () => {
    const table = bridge({ commands: { press: () => Promise.reject(new Error('It is in use.')) } });
    expect(await table['backend-install-dependencies']()).toEqual({ success: false, error: 'It is in use.' });
  });
});

describe('the log', () => {
  test('never holds a secret', async () => {
    const log = openLog(folder(), { secrets: ['s3cret'] });
    log.line('stderr', 'Authorization: Bearer s3cret');
    log.info('a sentence');
    const text = fs.readFileSync(log.file, 'utf8');
    expect(text).toContain('engine stderr: Authorization: Bearer (secret)');
    expect(text).not.toContain('s3cret');
  });

  test('a failure is a record that programs read', () => {
    const known = failure({ message: 'm', lastLines: ['a', 'b'] });
    const record = recordOf({ mode: 'production', backendPath: '/p', failure: known }, new Date(0));
    expect(record).toMatchObject({
      type: 'backend-ended',
      mode: 'production',
      backendPath: '/p',
      error: 'm',
      stderr: 'a\nb',
      timestamp: '1970-01-01T00:00:00.000Z',
      platform: process.platform,
      arch: process.arch,
    });
  });
});

describe('asking', () => {
  describe('past what may follow a proxy: the global agent, and fetch', () => {
    beforeEach(() => {
      const { globalAgent } = http;
      later(() => (http.globalAgent = globalAgent));
      const refuse = () => {
        throw new Error('This may go through a proxy.');
      };
      http.globalAgent = Object.assign(new http.Agent(), { createConnection: refuse });
      vi.stubGlobal('fetch', refuse);
      later(() => vi.unstubAllGlobals());
    });

    test('health is asked directly, whatever proxy the environment names', async () => {
      const { base } = await serve((_request, response) => response.end('{"status": "healthy"}'));
      expect(await askHealth(base, { timeoutMs: HANG_MS })).toMatchObject({ healthy: true });
    });

    test('a configuration goes to the engine directly, with the token', async () => {
      const file = path.join(folder(), 'mine.peftconfig');
      fs.writeFileSync(file, '{"rank": 8}');
      const { base } = await serve(async (asked, response) => {
        const body = Buffer.concat(await asked.toArray()).toString();
        const name = `${asked.headers.authorization} ${body.includes('{"rank": 8}')} ${body.includes('mine.peftconfig')}`;
        response.end(JSON.stringify({ data: { metadata: { name } } }));
      });
      const imported = new Promise((resolve) => {
        const backend = { base, token: 't', status: () => ({ running: true }) };
        new OpenedFiles(backend, { onImported: resolve, onRefused: (_file, why) => resolve(why) }).add([file]);
      });
      expect(await imported).toBe('Bearer t true true');
    });
  });

  test.each([
    ['nobody', (_request, response) => response.destroy()],
    ['an error', (_request, response) => response.writeHead(500).end('{}')],
    ['no JSON', (_request, response) => response.end('<html>')],
    ['silence', () => undefined],
    ['endless words', (_request, response) => void setInterval(() => response.write('x'.repeat(1e5)), 1).unref()],
  ])('%s is no health', async (_, answer) => {
    const { base } = await serve(answer);
    expect(await askHealth(base, { timeoutMs: 300 })).toMatchObject({
      healthy: false,
      error: expect.stringMatching(/./),
    });
  });

  /** What is told of an engine that gives these answers; null is none. */
  async function watched(answers) {
    const { base } = await serve((_request, response) => {
      const answer = answers.shift();
      if (answer === null) response.destroy();
      else response.end(answer);
    });
    const [told, warnings] = [[], []];
    const { signal } = new AbortController();
    const backend = { base, token: 't' };
    await watchArrival(backend, {
      signal,
      tell: (what) => told.push(what),
      warn: (why) => warnings.push(why),
      everyMs: 1,
      timeoutMs: HANG_MS,
    });
    return { told, warnings };
  }

  test('the rest of the engine is told until all is there', async () => {
    const answers = [
      { part: 'core', state: 'arriving', done: null, total: null, unit: null },
      { part: 'core', state: 'arriving', done: 5, total: 10, unit: 'bytes' },
      { part: 'whole', state: 'ready', done: null, total: null, unit: null },
    ];
    expect(await watched(answers.map((answer) => JSON.stringify(answer)))).toEqual({
      told: [{ done: null, total: null }, { done: 5, total: 10 }, null],
      warnings: [],
    });
  });

  test('the rest of the engine is told on after answers that failed, of which the first says why', async () => {
    const answers = [
      JSON.stringify({ part: 'core', done: 5, total: 10, unit: 'bytes' }),
      'busy',
      null,
      '{"part": "whole"}',
    ];
    const { told, warnings } = await watched(answers);
    expect(told).toEqual([{ done: 5, total: 10 }, null]);
    expect(warnings).toEqual([expect.stringContaining('is unknown: ')]);
  });
});
