// What the menu and the pages' buttons do besides starting the engine, and the files that people open with the app.

import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { answerOf, did, isFailed, startApp } from './app.mjs';
import { folder } from './engines.mjs';
import { failed } from './failures.mjs';
import { awaitNobody } from './processes.mjs';

const WORKING = { say: { event: 'step', name: 'check', done: 1, total: 2, unit: 'steps' } };
const isWorking = ({ payload }) => payload?.progress?.step === 'check';

/** An app whose engine notes how it was called; `calls` are those. */
function noting(acts, options) {
  const file = path.join(folder(), 'calls');
  const steps = { start: [{ argv: file }, { serve: {} }] };
  for (const [name, rest] of Object.entries(acts)) steps[name] = [{ argv: file }, ...rest];
  const calls = () => fs.readFileSync(file, 'utf8').trim().split('\n');
  return { ...startApp(steps, options), calls };
}

const done = (act) => [WORKING, { say: { event: 'result', act } }, { exit: 0 }];
const START = '--json --until-eof -- --port 8000';

describe('a support report', () => {
  test('is made beside the running engine, before everybody’s eyes, and shown in its folder', async () => {
    const chosen = folder();
    const { next, ask, ready, calls } = noting({ '--support-report': done('support-report') }, { chosen });
    await ready();
    ask({ menu: 'Make a support report…' });
    await next(isWorking);
    const { file } = await next(did('shown'));
    expect(file).toMatch(new RegExp(`^${chosen}/peft-studio-report-\\d{4}-\\d\\d-\\d\\d\\.zip$`));
    expect(calls()).toEqual([START, `--support-report ${file} --json --until-eof`]);
    ask({ invoke: 'backend-status' });
    expect((await next(answerOf('backend-status'))).value).toMatchObject({ running: true, restartAttempts: 0 });
  });

  test('that cannot be made says why, and the engine runs on', async () => {
    const acts = { '--support-report': [{ say: failed('disk-full', 'Full.') }, { exit: 85 }] };
    const { next, ask, press, ready } = noting(acts, { chosen: folder() });
    await ready();
    press('support-report');
    const { payload } = await next(isFailed);
    expect(payload.problem).toMatchObject({ message: 'Full.', buttons: ['back', 'open-log'] });
    expect(await next(answerOf('engine-press'))).toMatchObject({ value: { success: false, error: 'Full.' } });
    press('back');
    await ready();
    ask({ invoke: 'backend-health-check' });
    expect((await next(answerOf('backend-health-check'))).value).toMatchObject({ healthy: true });
  });

  test('that is cancelled leaves the engine and its page as they were', async () => {
    const { next, press, ready, calls } = noting({ '--support-report': [WORKING] }, { chosen: folder() });
    await ready();
    press('support-report');
    await next(isWorking);
    press('repair');
    expect(await next(answerOf('engine-press'))).toMatchObject({ value: { error: expect.stringMatching(/wait/) } });
    press('cancel');
    await ready();
    expect(calls()).toHaveLength(2);
  });
});

test('a report that is cancelled beside a failed engine leaves the failure to be seen, and the app', async () => {
  const start = [{ say: failed('install-damaged', 'Not whole.') }, { exit: 89 }];
  const acts = { start, '--support-report': [WORKING] };
  const { next, ask, press, told } = startApp(acts, { chosen: folder() });
  await next(isFailed);
  press('support-report');
  await next(isWorking);
  press('cancel');
  expect((await next(isFailed)).payload.problem.message).toBe('Not whole.');
  ask({ invoke: 'get-app-version' });
  await next(answerOf('get-app-version'));
  expect(told.filter(did('quit'))).toEqual([]);
});

test('a page that wants a restart has to wait until an act is done with the engine’s files', async () => {
  const { next, ask, press, ready, calls } = noting({ '--repair': [WORKING] });
  await ready();
  press('repair');
  await next(isWorking);
  for (const channel of ['backend-restart', 'backend-force-restart']) {
    ask({ invoke: channel });
    expect(await next(answerOf(channel))).toMatchObject({ did: 'refusal', message: expect.stringContaining('wait') });
  }
  press('retry');
  expect(await next(answerOf('engine-press'))).toMatchObject({ value: { error: expect.stringContaining('wait') } });
  expect(calls()).toEqual([START, '--repair --json --until-eof']);
});

test('an act that hears nothing is gone all the same once the app has ended', async () => {
  const { app, root, next, ask, press, ready } = noting({ '--repair': [{ deaf: true }, WORKING] });
  await ready();
  press('repair');
  await next(isWorking);
  ask({ quit: true });
  expect(await once(app, 'exit')).toEqual([0, null]);
  await awaitNobody(root, 0);
});

describe('a repair', () => {
  test('that the menu asks for shows the engine’s page, stops the engine, and starts it again when it is whole', async () => {
    const { next, ask, ready, calls } = noting({ '--repair': done('repair') });
    await ready();
    ask({ menu: 'Repair the engine' });
    await next(isWorking);
    await ready();
    expect(calls()).toEqual([START, '--repair --json --until-eof', START]);
  });
});

describe('another disk', () => {
  test('is where the launcher moves its home to; the engine is stopped before, and started after', async () => {
    const chosen = folder();
    const { next, ask, ready, calls } = noting({ '--move-home': done('move-home') }, { chosen });
    await ready();
    ask({ menu: 'Move the engine to another disk…' });
    await next(isWorking);
    await ready();
    const moved = `--move-home ${path.join(chosen, 'peft-studio')} --json --until-eof`;
    expect(calls()).toEqual([START, moved, START]);
  });

  test('that nobody chose changes nothing', async () => {
    const { next, press, ready, calls } = noting({});
    await ready();
    press('choose-home');
    expect(await next(answerOf('engine-press'))).toMatchObject({ did: 'answer' });
    expect(calls()).toEqual([START]);
  });
});

describe('a configuration', () => {
  /** A file of the app's own. */
  function file(content = '{"metadata": {"name": "small"}}', name = 'mine.peftconfig') {
    const made = path.join(folder(), name);
    fs.writeFileSync(made, content);
    return made;
  }

  test('that the app is started with is in the library as soon as there is an engine', async () => {
    const { next } = startApp([{ serve: {} }], { argv: ['--some-switch', file()] });
    expect(await next(did('notification'))).toMatchObject({ title: 'small' });
  });

  test('that is opened while the app runs is too, on every system', async () => {
    const { next, ask, ready } = startApp();
    await ready();
    ask({ second: ['peft-studio', file()] });
    await next(did('focus'));
    expect(await next(did('notification'))).toMatchObject({ title: 'small' });
    ask({ openFile: file() });
    expect(await next(did('notification'))).toMatchObject({ title: 'small' });
  });

  test.each([
    ['{}', 'It has no name.'],
    [null, 'ENOENT'],
  ])('%s says why it could not be opened', async (content, reason) => {
    const { next, ask, ready } = startApp();
    await ready();
    ask({ openFile: content === null ? '/nowhere.peftconfig' : file(content) });
    const box = await next(did('error-box'));
    expect(box.title).toMatch(/\.peftconfig could not be opened$/);
    expect(box.reason).toContain(reason);
  });
});
