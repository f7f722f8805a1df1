import fc from 'fast-check';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ENTRIES, explain, failureOf, missingModule } from '../../electron-resources/main/errors.js';
import { failed, failure } from './failures.mjs';

const ROOT = path.join(import.meta.dirname, '..', '..');
const END = { exitCode: 1, signal: null, lastLines: [], error: null, gone: true };

/** The codes that stand in a Python module of the engine, in its classes with an exit status. */
function engineCodes(module) {
  const text = fs.readFileSync(path.join(ROOT, module), 'utf8');
  const together = [...text.matchAll(/code, exit_status = "([a-z-]+)"/g)];
  const apart = [...text.matchAll(/code = "([a-z-]+)"\s+exit_status = \d+/g)];
  return [...together, ...apart].map((match) => match[1]);
}

test.each(['launcher/errors.py', 'backend/errors.py'])('every code of %s has a title and buttons', (module) => {
  const codes = engineCodes(module);
  expect(codes.length).toBeGreaterThan(3);
  expect(codes.filter((code) => !Object.hasOwn(ENTRIES, code))).toEqual([]);
});

test.each(['PYTHON_NOT_FOUND', 'EXECUTABLE_NOT_FOUND', 'PERMISSION_DENIED', 'PORT_IN_USE', 'PROCESS_START_FAILED'])(
  'the pages know %s',
  (code) => {
    expect(explain(failure({ code, message: 'm' })).code).toBe(code);
  },
);

// Feature: python-backend-bundling, Property 10: specific error messages
describe('whatever goes wrong', () => {
  const lines = fc.array(fc.string({ maxLength: 80 }), { maxLength: 5 });
  const failures = fc.record({
    code: fc.oneof(fc.constantFrom(...Object.keys(ENTRIES)), fc.string()),
    message: fc.option(fc.string({ minLength: 1 })),
    remedy: fc.option(fc.string({ minLength: 1 })),
    path: fc.constant(null),
    log: fc.constant(null),
    exitCode: fc.option(fc.integer({ min: 0, max: 0xffffffff })),
    signal: fc.option(fc.constantFrom('SIGKILL', 'SIGSEGV')),
    lastLines: lines,
  });

  test('there is a title, a message, a remedy, a button, and the last lines', () => {
    fc.assert(
      fc.property(failures, (given) => {
        const told = explain(given);
        for (const text of [told.code === '' ? 'an unknown code' : told.code, told.title, told.message, told.remedy])
          expect(text).toMatch(/./su);
        expect(told.buttons.length).toBeGreaterThan(0);
        expect(told.lastLines).toBe(given.lastLines);
        if (given.message !== null) expect(told.message).toBe(given.message);
        if (given.signal !== null) expect(told.end).toContain(given.signal);
        else if (given.exitCode !== null) expect(told.end).toMatch(/status (\d+|0x[0-9A-F]+)\./);
      }),
      { numRuns: 500 },
    );
  });

  test('a missing module is named, wherever its line stands', () => {
    const module = fc.stringMatching(/^[a-z_][a-z0-9_]*(\.[a-z0-9_]+)?$/);
    fc.assert(
      fc.property(lines, module, lines, (before, name, after) => {
        const lastLines = [...before, `ModuleNotFoundError: No module named '${name}'`, ...after];
        expect(missingModule(lastLines)).toBe(name);
        const told = explain(failureOf({ ...END, lastLines }, null));
        expect(told).toMatchObject({ code: 'MISSING_PACKAGE', message: `The module ${name} is missing.` });
        expect(told.buttons).toContain('repair');
      }),
      { numRuns: 200 },
    );
  });
});

test("Windows' statuses are shown as they are looked up", () => {
  expect(explain(failure({ exitCode: 3221225477 })).end).toBe('It ended with status 0xC0000005.');
});

test('after the last restart the code says so, and the cause stays', () => {
  expect(explain(failure({}), { exhausted: true })).toMatchObject({
    code: 'MAX_RESTARTS_EXCEEDED',
    title: 'The engine stopped',
  });
});

test('the range of taken ports stands in the message, as the backend wrote it', () => {
  const announced = failed('ports-taken', 'Ports 8000–8010 are taken');
  expect(explain(failureOf(END, announced))).toMatchObject({
    code: 'NO_AVAILABLE_PORTS',
    message: 'Ports 8000–8010 are taken',
  });
});

test('processes that could not be ended outweigh what the engine said', () => {
  expect(failureOf({ ...END, gone: false }, failed('busy')).code).toBe('processes-left');
});
