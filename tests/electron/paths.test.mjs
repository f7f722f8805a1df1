import fc from 'fast-check';
import fs from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { fakeResources, folder, reached, service } from './engines.mjs';
import { engineEnvironment } from '../../electron-resources/main/environment.js';
import { findPython, isNewEnough } from '../../electron-resources/main/interpreter.js';
import { locateEngine } from '../../electron-resources/main/place.js';
import { checkEngine } from '../../electron-resources/main/program.js';

const CONTEXT = {
  isPackaged: true,
  platform: 'linux',
  resourcesPath: '/opt/app/resources',
  repository: '/src',
  environment: {},
};

// Feature: python-backend-bundling, Property 2: path resolution
describe('where the engine is', () => {
  const context = fc.record({
    isPackaged: fc.boolean(),
    platform: fc.constantFrom('linux', 'darwin', 'win32'),
    resourcesPath: fc.string({ minLength: 1 }).map((name) => `/${name}`),
    repository: fc.string({ minLength: 1 }).map((name) => `/${name}`),
    environment: fc.constant({}),
  });

  test('a packaged app runs the launcher among its resources, any other one the repository with an interpreter', () => {
    fc.assert(
      fc.property(context, (given) => {
        const place = locateEngine(given);
        const { join, dirname } = given.platform === 'win32' ? path.win32 : path.posix;
        if (given.isPackaged) {
          expect(place.mode).toBe('production');
          expect(dirname(place.command)).toBe(join(given.resourcesPath, 'backend'));
          expect(place.command.endsWith(given.platform === 'win32' ? 'peft_engine.exe' : 'peft_engine')).toBe(true);
        } else {
          expect(place).toMatchObject({ mode: 'development', cwd: given.repository });
        }
        expect(place.args).toEqual(expect.arrayContaining(['--json', '--until-eof', '--port', '8000']));
        expect(locateEngine(given)).toEqual(place);
      }),
      { numRuns: 300 },
    );
  });

  test('production passes exactly what the launcher takes', () => {
    expect(locateEngine(CONTEXT).args).toEqual(['--json', '--until-eof', '--', '--port', '8000']);
  });

  test.each([
    ['https://gpu.example:8443', 'https://gpu.example:8443'],
    ['http://127.0.0.1:9000/', 'http://127.0.0.1:9000'],
    ['http://localhost:9000', 'http://localhost:9000'],
  ])('a remote engine at %s', (url, base) => {
    const environment = { PEFT_STUDIO_REMOTE_URL: url, PEFT_STUDIO_REMOTE_TOKEN: 't' };
    expect(locateEngine({ ...CONTEXT, environment })).toEqual({ mode: 'remote', url: base, token: 't' });
  });

  test.each([
    ['no URL', 'gpu', 't'],
    ['a token in the clear', 'http://gpu.example', 't'],
    ['another protocol', 'ftp://127.0.0.1', 't'],
    ['no token', 'https://gpu.example', ''],
  ])('a remote engine is refused: %s', (_, url, token) => {
    const environment = { PEFT_STUDIO_REMOTE_URL: url, PEFT_STUDIO_REMOTE_TOKEN: token };
    expect(locateEngine({ ...CONTEXT, environment })).toMatchObject({
      mode: 'refused',
      error: { code: 'REMOTE_INVALID' },
    });
  });

  test('the engine inherits the environment, gets the token, and no token of another engine', () => {
    const given = { PATH: '/bin', PEFT_STUDIO_REMOTE_TOKEN: 'x', ELECTRON_RUN_AS_NODE: '1' };
    expect(engineEnvironment(given, 't')).toEqual({ PATH: '/bin', PEFT_STUDIO_TOKEN: 't' });
  });
});

// Feature: python-backend-bundling, Property 6: resource access and executable bit
describe('whether it can be run', () => {
  test('whatever mode the program has, it is executable afterwards and really runs', async () => {
    const { resourcesPath, program } = fakeResources();
    fs.writeFileSync(program, '#!/bin/sh\necho ran\n');
    const place = locateEngine({ ...CONTEXT, resourcesPath });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 0o777 }), async (mode) => {
        fs.chmodSync(program, mode);
        await checkEngine(place, 'linux');
        expect(execFileSync(program, { encoding: 'utf8' })).toBe('ran\n');
      }),
      { numRuns: 100 },
    );
  });

  test('a missing program, or a folder in its place, is named', async () => {
    const { resourcesPath, program } = fakeResources();
    const place = locateEngine({ ...CONTEXT, resourcesPath });
    fs.rmSync(program);
    await expect(checkEngine(place, 'linux')).rejects.toMatchObject({ code: 'EXECUTABLE_NOT_FOUND', path: program });
    fs.mkdirSync(program);
    await expect(checkEngine(place, 'linux')).rejects.toMatchObject({ code: 'EXECUTABLE_NOT_FOUND' });
  });

  test('a file without its bit is made executable on the way to ready', async () => {
    const resources = fakeResources();
    fs.chmodSync(resources.program, 0o644);
    const manager = service([{ serve: {} }], { resources });
    await manager.start();
    await reached(manager, ({ phase }) => phase === 'ready');
  });
});

describe('an interpreter for development', () => {
  const python = (version) => {
    const program = path.join(folder(), 'python');
    fs.writeFileSync(program, `#!/bin/sh\n${version === null ? 'exit 9' : `echo ${version}`}\n`, { mode: 0o755 });
    return program;
  };

  test('the first one that is new enough', async () => {
    const [broken, old, fresh] = [python(null), python('3.9.18'), python('3.12.1')];
    await expect(findPython([broken, old, fresh, python('3.13.0')])).resolves.toBe(fresh);
  });

  test('none: the message says what was found', async () => {
    const [broken, old] = [python(null), python('3.9.18')];
    await expect(findPython([broken, old, '/no/python'])).rejects.toMatchObject({
      code: 'PYTHON_NOT_FOUND',
      message: `Python 3.10 or newer is needed; ${broken} cannot be run (9), ${old} is 3.9.18, /no/python cannot be run (ENOENT).`,
    });
  });

  test('versions are numbers, not text', () => {
    expect(['3.9.9', '3.10.0', '3.11.7', '4.0.0', '2.7.18', ''].filter(isNewEnough)).toEqual([
      '3.10.0',
      '3.11.7',
      '4.0.0',
    ]);
  });
});
