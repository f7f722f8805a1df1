// Engines for the tests: a folder as the app has it, with the fake engine as its program, and a service that runs it.

import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { afterEach } from 'vitest';
import { BackendServiceManager } from '../../electron-resources/main/backend-service-manager.js';
import { locateEngine } from '../../electron-resources/main/place.js';

const FAKE = path.join(import.meta.dirname, 'fake-engine.js');

/** What only an engine that hangs takes to answer, in milliseconds: a slow machine does not. */
export const HANG_MS = 60_000;

/** Asks often, and has patience. */
const WATCHFUL = Object.freeze({ firstMs: 20, everyMs: 40, timeoutMs: HANG_MS, deadlineMs: HANG_MS });

/** For an engine that does not end when it is asked to, which a test then has to wait for. */
const BRISK = Object.freeze({ idleMs: 400, busyMs: 400, termMs: 200, askMs: 5_000 });

const closing = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Runs `close` after the test, whatever became of it. */
export function later(close) {
  closing.push(close);
}

/** A fresh folder, gone after the test. */
export function folder() {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'peft-electron-'));
  // Not in one go: a whole engine is 38,000 files, and a worker that is silent for long is taken for dead.
  later(() => fs.promises.rm(made, { recursive: true, force: true, maxRetries: 5 }));
  return made;
}

/** For `saves` of the fake engine's: where it saves its work, once a test has made the file `until`. */
export function gated() {
  const made = folder();
  return Object.freeze({ file: path.join(made, 'saved'), until: path.join(made, 'go') });
}

/** The app's resources folder, whose engine is the fake one. */
export function fakeResources(root = folder()) {
  const backend = path.join(root, 'resources', 'backend');
  fs.mkdirSync(backend, { recursive: true });
  const program = path.join(backend, 'peft_engine');
  fs.writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${FAKE}' "$@"\n`, { mode: 0o755 });
  return { resourcesPath: path.join(root, 'resources'), program };
}

/** The place of the engine in a packed app's resources. */
export function packedIn(resourcesPath) {
  const { platform } = process;
  return locateEngine({ isPackaged: true, platform, resourcesPath, repository: '', environment: {} });
}

/** A server on this machine that answers with `answer`, gone after the test; returns where. */
export async function serve(answer) {
  const server = http.createServer(answer);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  later(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address();
  return { base: `http://127.0.0.1:${port}`, port };
}

/** A log that keeps what it is told. */
export function keptLog() {
  const texts = [];
  const keep = (level) => (text) => texts.push(`${level}: ${text}`);
  return Object.freeze({
    texts,
    failures: [],
    file: '',
    info: keep('info'),
    warn: keep('warn'),
    error: keep('error'),
    line: (stream, line) => texts.push(`${stream}: ${line}`),
    failure(what) {
      this.failures.push(what);
    },
  });
}

/** A service for a program of the fake engine's; it is stopped after the test. */
export function service(steps, { resources = fakeResources(), ...options } = {}) {
  const log = keptLog();
  const made = new BackendServiceManager({
    place: packedIn(resources.resourcesPath),
    platform: process.platform,
    environment: { ...process.env, FAKE_ENGINE: JSON.stringify(steps) },
    token: 'a-token',
    log,
    timing: WATCHFUL,
    patience: BRISK,
    backOff: [0, 5, 10],
    ...options,
  });
  later(() => made.stop());
  return Object.assign(made, { log });
}

/** Settles with the first state that fits. */
export function reached(manager, fits) {
  return new Promise((resolve) => {
    const look = (state) => {
      if (!fits(state)) return;
      manager.off('state', look);
      resolve(state);
    };
    manager.on('state', look);
    look(manager.state);
  });
}
