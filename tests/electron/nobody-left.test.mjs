// Feature: python-backend-bundling, Property 3: process cleanup

import { once } from 'node:events';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OrphanRecord } from '../../electron-resources/main/orphan.js';
import { startOf } from '../../electron-resources/main/processes.js';
import { fakeResources, folder, gated, later } from './engines.mjs';
import { awaitNobody, killAll, processesWith } from './processes.mjs';

const OWNER = path.join(import.meta.dirname, 'owner.js');
const STARTED = '[{"say": {"event": "starting", "argv": []}}, {"serve": {}}]';

/** Starts a process that owns an engine of the folder; its killing after the test is sure. */
function own(root, { steps = STARTED, record = undefined } = {}) {
  const { resourcesPath } = fakeResources(root);
  const options = JSON.stringify({ resourcesPath, record });
  const owner = spawn(process.execPath, [OWNER, options], {
    env: { ...process.env, FAKE_ENGINE: steps, OWNED: root },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  later(() => killAll(root));
  return owner;
}

/** Settles once the owner has said this phase. */
async function said(owner, phase) {
  let text = '';
  for await (const chunk of owner.stdout.iterator({ destroyOnReturn: false })) {
    text += chunk;
    if (text.includes(`${phase}\n`)) return;
  }
  throw new Error(`the owner ended before it was ${phase}: ${text}`);
}

test('killed with SIGKILL at any moment, an owner leaves no process', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 300 }), async (moment) => {
      const root = folder();
      const owner = own(root);
      await pause(moment); // the moment itself is what is tried, not something waited for
      owner.kill('SIGKILL');
      await once(owner, 'exit');
      await awaitNobody(root);
    }),
    { numRuns: 100 },
  );
}, 600_000);

test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGABRT'])(
  'ended by %s, an owner leaves no process',
  async (signal) => {
    const root = folder();
    const owner = own(root);
    await said(owner, 'ready');
    owner.kill(signal);
    await once(owner, 'exit');
    await awaitNobody(root);
  },
);

describe('an engine that outlived its owner', () => {
  const DEAF = '[{"deaf": true}, {"serve": {}}]';
  const CURT = Object.freeze({ graceMs: 100 });

  async function orphaned(steps = DEAF) {
    const root = folder();
    const record = path.join(root, 'record.json');
    const owner = own(root, { steps, record });
    await said(owner, 'ready');
    await expect.poll(() => fs.existsSync(record)).toBe(true);
    return { root, record, owner };
  }

  test('is ended by the next start', async () => {
    const { root, record, owner } = await orphaned();
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    expect(processesWith(root)).toHaveLength(1);
    expect(await new OrphanRecord(record, process.platform).endOrphan(CURT)).toBe('killed');
    await awaitNobody(root, 0);
    expect(fs.existsSync(record)).toBe(false);
  });

  test('is waited for as long as it saves its work', async () => {
    const saves = gated();
    const { root, record, owner } = await orphaned(JSON.stringify([{ saves }, { serve: {} }]));
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    const waited = [];
    const onWait = (pid) => {
      waited.push(pid);
      fs.writeFileSync(saves.until, '');
    };
    expect(await new OrphanRecord(record, process.platform).endOrphan({ onWait })).toBe('gone');
    expect(fs.existsSync(saves.file)).toBe(true);
    expect(waited).toHaveLength(1);
    await awaitNobody(root, 0);
    expect(fs.existsSync(record)).toBe(false);
  });

  test('is left alone as long as its owner lives', async () => {
    const { root, record } = await orphaned();
    expect(await new OrphanRecord(record, process.platform).endOrphan()).toBe('left-alone');
    expect(processesWith(root)).toHaveLength(2);
  });

  test('is left alone if its PID may be a stranger’s', async () => {
    const { root, record, owner } = await orphaned();
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    const kept = JSON.parse(fs.readFileSync(record, 'utf8'));
    fs.writeFileSync(record, JSON.stringify({ ...kept, engine: { ...kept.engine, start: 'another' } }));
    expect(await new OrphanRecord(record, process.platform).endOrphan()).toBe('none');
    expect(processesWith(root)).toHaveLength(1);
  });
});

test('a record that says nothing usable ends nobody', async () => {
  const record = path.join(folder(), 'record.json');
  const wrong = { pid: process.pid, start: 'of a process before this one' };
  const identity = fc.oneof(fc.constant(wrong), fc.constant({ pid: 1, start: 'x' }), fc.jsonValue());
  const text = fc.oneof(
    fc.string(),
    fc.record({ engine: identity, owner: identity }).map((value) => JSON.stringify(value)),
  );
  await fc.assert(
    fc.asyncProperty(text, async (content) => {
      fs.writeFileSync(record, content);
      expect(['none', 'left-alone']).toContain(await new OrphanRecord(record, process.platform).endOrphan());
    }),
    { numRuns: 200 },
  );
});

test('the start of a process tells it from the next one, and a dead one has none', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e9)']);
  const start = await startOf(child.pid, process.platform);
  expect(start).toMatch(/./);
  expect(await startOf(child.pid, process.platform)).toBe(start);
  expect(await startOf(process.pid, process.platform)).not.toBe(start);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await startOf(child.pid, process.platform)).toBe(null);
});
