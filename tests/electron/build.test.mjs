// Feature: python-backend-bundling, Property 4: build order

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { configure, runSteps, stepsOf } from '../../electron-resources/build/build.js';
import { checkTargets, windowsTargets } from '../../electron-resources/build/targets.js';
import { folder } from './engines.mjs';
import { HERE, staged, standIn } from './packed.mjs';

const NAMES = ['stage the engine', 'check the engine', 'run the engine', 'build the pages', 'check the pages', 'pack'];
const MACHINE = { platform: 'linux', arch: 'x64' };

/** Runs the build as `npm run build:dir` does, around a stand-in for Electron. */
async function build(engine, { pages = path.join(folder(), 'none'), output = folder(), ...env } = {}) {
  const args = ['--', `-c.electronDist=${standIn()}`, `-c.directories.output=${output}`];
  const done = promisify(execFile)(
    process.execPath,
    [path.join('build', 'build.js'), '--linux', '--x64', '--dir', ...args],
    {
      cwd: HERE,
      env: { ...process.env, PEFT_STUDIO_RESOURCES: engine, PEFT_STUDIO_PAGES: pages, ...env },
    },
  );
  return { output, done };
}

function builtPages(page = '<script type="module" src="/assets/main.js"></script>') {
  const made = folder();
  fs.mkdirSync(path.join(made, 'assets'));
  fs.writeFileSync(path.join(made, 'index.html'), page);
  fs.writeFileSync(path.join(made, 'assets', 'main.js'), '');
  return made;
}

describe('a build', { timeout: 60_000 }, () => {
  test('does every step in order, and leaves the app with its pages and where updates lie', async () => {
    const pages = builtPages();
    const { output, done } = await build(staged(), { pages, PEFT_STUDIO_UPDATES_URL: 'https://updates.example/' });
    const { stderr } = await done;
    expect([...stderr.matchAll(/^step \d of 6, (.+) …$/gm)].map(([, name]) => name)).toEqual(NAMES);
    const resources = path.join(output, 'linux-unpacked', 'resources');
    expect(fs.readFileSync(path.join(resources, 'app.asar'), 'latin1')).toContain('assets/main.js');
    expect(fs.readFileSync(path.join(resources, 'app-update.yml'), 'utf8')).toContain('https://updates.example/');
  });

  test.each([
    [
      'an engine that is damaged',
      2,
      'has 3 bytes instead of 10',
      () => {
        const engine = staged();
        fs.truncateSync(path.join(engine, 'runtime.tar.zst'), 3);
        return { engine };
      },
    ],
    [
      'pages that lack a part',
      5,
      'names what is not there: /assets/gone.js',
      () => ({
        engine: staged(),
        pages: builtPages('<link href="/assets/main.js"><script src="/assets/gone.js"></script>'),
      }),
    ],
    [
      'pages that were never built',
      5,
      'loads nothing',
      () => ({ engine: staged(), pages: builtPages('<p>later</p>') }),
    ],
  ])('stops at %s, and packs nothing', async (_, step, reason, broken) => {
    const { engine, ...options } = broken();
    const { output, done } = await build(engine, options);
    await expect(done).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(reason) });
    await done.catch(({ stderr }) => expect(stderr).toContain(`stopped at step ${step} of 6`));
    expect(fs.readdirSync(output)).toEqual([]);
  });
});

test('whichever step fails, those before it were done once and in order, those after it not at all', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(NAMES.length), fc.boolean(), async (broken, late) => {
      const done = [];
      const steps = NAMES.map((name, index) => ({
        name,
        act: async () => {
          if (index === broken && !late) throw new Error('broken');
          await new Promise(setImmediate);
          if (index === broken) throw new Error('broken');
          done.push(name);
        },
      }));
      const run = runSteps(steps, () => undefined);
      if (broken === NAMES.length) await run;
      else await expect(run).rejects.toThrow(`stopped at step ${broken + 1} of 6, ${NAMES[broken]}`);
      expect(done).toEqual(NAMES.slice(0, broken));
    }),
    { numRuns: 100 },
  );
});

test('an engine that is not staged yet is staged, checked and run; pages that are not built are built', async () => {
  const ran = [];
  const configuration = { ...configure(['--mac', '--arm64'], {}, MACHINE), pagesAreBuilt: false };
  const steps = stepsOf(configuration, async (command, args) => void ran.push([command, ...args].join(' ')));
  expect(steps.map(({ name }) => name)).toEqual(NAMES);
  for (const { name, act } of steps) if (!name.startsWith('check')) await act();
  expect(ran.map((line) => line.replace(/^.*cli\.js/, 'electron-builder'))).toEqual([
    'nox -s stage(osx-arm64)',
    'nox -s verify(osx-arm64)',
    'npm ci',
    'npm run build',
    'electron-builder --config electron-builder.config.js --mac --arm64',
  ]);
});

test.each([
  [['--linux', '--win'], 'one system at a time'],
  [['--freebsd'], '--freebsd is not known'],
  [['--win', '--arm64'], 'no engine for win32 on arm64'],
  [['--win', '--x64'], 'needs PEFT_STUDIO_UPDATES_URL'],
])('%s is refused', (argv, reason) => expect(() => configure(argv, {}, MACHINE)).toThrow(reason));

// Feature: python-backend-bundling, Property 5: what Windows' programs can hold
test('no size of an engine gives a format of Windows that it does not fit', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 33), (bytes) => {
      const targets = windowsTargets(bytes);
      expect(targets[0]).toBe('nsis-web');
      expect(() => checkTargets(targets, bytes)).not.toThrow();
      if (bytes >= 2 ** 31 - 1) {
        expect(() => checkTargets(['nsis'], bytes)).toThrow('does not fit into nsis');
        expect(() => checkTargets(['portable'], bytes)).toThrow('does not fit into portable');
      }
    }),
    { numRuns: 500 },
  );
});
