// Feature: python-backend-bundling, Property 3: process cleanup

import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fakeResources, folder, service } from './engines.mjs';
import { awaitNobody, kill } from './processes.mjs';

const BRISK = Object.freeze({ idleMs: 60, busyMs: 60, termMs: 30, askMs: 50 });

/** A wish need not come true: the next one may overrule it. But it fails by an error of ours. */
const wish = (promise) => void promise.catch((error) => expect(error.name).toBe('EngineError'));

/** What a person, or chance, does to the service. */
const ACTS = Object.freeze({
  start: (manager) => wish(manager.start()),
  stop: (manager) => wish(manager.stop()),
  restart: (manager) => wish(manager.restart()),
  force: (manager) => wish(manager.forceRestart()),
  crash: (manager) => {
    const { pid } = manager.status();
    if (pid !== undefined) kill(-pid);
  },
});

test('whatever is wished, and whatever crashes, there are never two engines, and none after a stop', async () => {
  const act = fc.constantFrom(...Object.keys(ACTS));
  const story = fc.array(fc.tuple(act, fc.integer({ min: 0, max: 120 })), { minLength: 2, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(story, fc.boolean(), async (acts, deaf) => {
      const root = folder();
      const complaints = path.join(root, 'complaints');
      const steps = [{ deaf }, { alone: complaints }, { serve: { stubborn: deaf } }];
      const manager = service(steps, { resources: fakeResources(root), token: root, patience: BRISK });
      wish(manager.start());
      for (const [name, moment] of acts) {
        await pause(moment); // the moment itself is what is tried
        ACTS[name](manager);
      }
      await manager.stop();
      expect(manager.state).toMatchObject({ phase: 'stopped', child: null });
      await awaitNobody(root, 0);
      expect(fs.existsSync(complaints)).toBe(false);
    }),
    { numRuns: 100 },
  );
}, 600_000);
