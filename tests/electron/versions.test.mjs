// Feature: python-backend-bundling, Property 9: update integrity

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Acts } from '../../electron-resources/main/acts.js';
import { Versions } from '../../electron-resources/main/versions.js';
import { answerOf, did, isFailed, startApp } from './app.mjs';
import { folder, keptLog, packedIn } from './engines.mjs';
import { failed } from './failures.mjs';
import { staged } from './packed.mjs';

const digest = (file) => createHash('sha256').update(fs.readFileSync(file)).digest('hex');

describe('after an update', () => {
  /** An installed app whose package names the manifest that it was packed with. */
  function installed(engine = staged()) {
    const app = folder();
    const manifest = digest(path.join(engine, 'manifest.json'));
    fs.writeFileSync(path.join(app, 'package.json'), JSON.stringify({ engineManifest: manifest }));
    const { platform } = process;
    const place = () => packedIn(path.dirname(engine));
    const user = folder();
    const settings = path.join(user, 'settings.json');
    const acts = new Acts({ platform, environment: process.env, log: keptLog() });
    const versions = new Versions({ place, app, user, settings, platform, acts, log: keptLog() });
    return { engine, versions, settings };
  }

  test('files that are those of the app are looked at once', async () => {
    const { engine, versions } = installed();
    await versions.check();
    fs.truncateSync(path.join(engine, 'index.json.zst'), 3);
    await versions.check();
  });

  test('any byte changed in what the app or its launcher trusts, and any part cut short, is found', async () => {
    const trusted = fc.constantFrom('manifest.json', 'engine.json', 'peft_engine', 'index.json.zst');
    const { engine, versions } = installed();
    await fc.assert(
      fc.asyncProperty(trusted, fc.nat(), fc.integer({ min: 1, max: 255 }), async (name, place, change) => {
        const file = path.join(engine, name);
        const whole = fs.readFileSync(file);
        const spoiled = Buffer.from(whole);
        // Whatever engine.json says besides is for people; its checksum and size are what is relied on.
        const at = name === 'engine.json' ? whole.indexOf('"checksum":"') + 12 + (place % 64) : place % whole.length;
        spoiled[at] ^= change;
        fs.writeFileSync(file, spoiled);
        await expect(versions.check()).rejects.toMatchObject({ code: 'UPDATE_INCOMPLETE' });
        fs.writeFileSync(file, whole);
      }),
      { numRuns: 100 },
    );
    fs.truncateSync(path.join(engine, 'runtime.tar.zst'), 3);
    await expect(versions.check()).rejects.toThrow('runtime.tar.zst has 3 bytes instead of 10');
    fs.rmSync(path.join(engine, 'runtime.tar.zst'));
    await expect(versions.check()).rejects.toThrow('runtime.tar.zst');
  });

  test('an update that is not whole is shown, and its engine not started', async () => {
    const root = folder();
    const { engine } = installed();
    fs.mkdirSync(path.join(root, 'app'));
    fs.writeFileSync(path.join(root, 'app', 'package.json'), JSON.stringify({ engineManifest: 'another' }));
    const prepare = (backend) => fs.cpSync(engine, backend, { recursive: true, verbatimSymlinks: true });
    const { next, told } = startApp([{ serve: {} }], { root, prepare });
    const { payload } = await next(isFailed);
    expect(payload.problem).toMatchObject({
      code: 'UPDATE_INCOMPLETE',
      message: expect.stringContaining('manifest.json is not the one of this app'),
      buttons: ['get-app', 'retry', 'quit'],
    });
    expect(told.filter(did('filter'))).toEqual([]);
  });
});

describe('the engine of the version before', () => {
  const FAIL = [{ say: failed('relocation-failed') }, { exit: 88 }];
  const READY = [{ say: { event: 'result', act: 'status', state: 'ready' } }, { exit: 0 }];
  const REMOVED = [{ say: { event: 'result', act: 'remove', removed: [] } }, { exit: 0 }];
  const runtime = (name) => (backend) => {
    fs.writeFileSync(path.join(backend, 'manifest.json'), JSON.stringify({ runtime: name, parts: [] }));
    fs.writeFileSync(path.join(backend, 'engine.json'), JSON.stringify({ path: 'peft_engine' }));
    fs.mkdirSync(path.join(backend, '_internal'), { recursive: true });
  };
  /** The next version, whose launcher cannot start its engine. */
  const broken = (backend) => {
    runtime('the new one')(backend);
    const program = path.join(backend, 'peft_engine');
    const failing = JSON.stringify(FAIL);
    fs.writeFileSync(program, fs.readFileSync(program, 'utf8').replace('exec', `FAKE_ENGINE='${failing}' exec`));
  };
  const offers = ({ payload }) => payload?.problem?.buttons.includes('use-previous');

  async function quit({ app, ask }) {
    ask({ quit: true });
    await once(app, 'exit');
  }

  /** A user whose first version ran well. */
  async function afterFirstVersion(status = READY) {
    const root = folder();
    const steps = { start: [{ serve: {} }], '--status': status };
    const first = startApp(steps, { root, prepare: runtime('the old one') });
    await first.ready();
    const settings = path.join(root, 'user', 'userData', 'settings.json');
    await expect.poll(() => fs.existsSync(settings) && fs.readFileSync(settings, 'utf8')).toContain('the old one');
    await quit(first);
    return { root, steps, settings };
  }

  test('is offered if the new one fails, and runs when it is asked for', async () => {
    const { root, steps } = await afterFirstVersion();
    const { next, ask, press, ready, ...second } = startApp(steps, { root, prepare: broken });
    const { payload } = await next(offers);
    expect(payload.problem.buttons[0]).toBe('use-previous');
    press('use-previous');
    await ready();
    ask({ invoke: 'backend-get-logs' });
    const { logs } = (await next(answerOf('backend-get-logs'))).value;
    expect(logs).toContain(path.join(root, 'user', 'userData', 'engine-before', 'backend', 'peft_engine'));
    await quit({ ask, ...second });
    // It has not become the new one's success: that one is tried again, and this one kept.
    const third = startApp(steps, { root, prepare: broken });
    await third.next(offers);
  });

  test('is offered, too, if the update is incomplete', async () => {
    const { root, steps } = await afterFirstVersion();
    fs.mkdirSync(path.join(root, 'app'), { recursive: true });
    fs.writeFileSync(path.join(root, 'app', 'package.json'), JSON.stringify({ engineManifest: 'another' }));
    const { next, press, ready } = startApp(steps, { root, prepare: runtime('the new one') });
    const { payload } = await next(offers);
    expect(payload.problem.code).toBe('UPDATE_INCOMPLETE');
    press('use-previous');
    await ready();
  });

  test('is not offered where its runtime is not whole any more', async () => {
    const { root, steps } = await afterFirstVersion([
      { say: { event: 'result', act: 'status', state: 'missing' } },
      { exit: 0 },
    ]);
    const { next, press, told } = startApp(steps, { root, prepare: broken });
    await next(isFailed);
    press('use-previous');
    expect(await next(answerOf('engine-press'))).toMatchObject({ value: { success: false } });
    expect(told.filter(offers)).toEqual([]);
  });

  test('is not offered if a version fails that was healthy before', async () => {
    const { root, steps } = await afterFirstVersion();
    const { next, press, told } = startApp({ ...steps, start: FAIL }, { root, prepare: runtime('the old one') });
    await next(isFailed);
    press('use-previous');
    await next(answerOf('engine-press'));
    expect(told.filter(offers)).toEqual([]);
  });

  test('gives way to the new one once that is healthy, and the change is in the log', async () => {
    const { root, steps, settings } = await afterFirstVersion();
    const calls = path.join(root, 'calls');
    const newer = { ...steps, start: [{ serve: { version: '0.0.1' } }], '--remove': [{ argv: calls }, ...REMOVED] };
    const { next, ask, ready } = startApp(newer, { root, prepare: runtime('the new one') });
    await ready();
    await expect.poll(() => fs.readFileSync(settings, 'utf8')).toContain('the new one');
    const kept = path.join(root, 'user', 'userData', 'engine-before', 'backend');
    expect(fs.readFileSync(path.join(kept, 'manifest.json'), 'utf8')).toContain('the new one');
    ask({ invoke: 'backend-get-logs' });
    expect((await next(answerOf('backend-get-logs'))).value.logs).toContain('backend-version: 0.0.0 → 0.0.1');
    // The runtime of the old one goes with it.
    await expect.poll(() => fs.existsSync(calls)).toBe(true);
    expect(fs.readFileSync(calls, 'utf8')).toBe('--remove --others --json --until-eof\n');
  });
});
